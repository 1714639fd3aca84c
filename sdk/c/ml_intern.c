/* Errors, log, configuration. */
#include <errno.h>
#include <string.h>

#include "internal.h"

bindings_string_t ml_borrowed(const char *text) {
    return (bindings_string_t){(uint8_t *)text, strlen(text)};
}

bindings_string_t ml_owned(const char *text) {
    size_t length = strlen(text);
    return (bindings_string_t){memcpy(ml_allocate(length), text, length), length};
}

ml_error ml_error_of(ml_code code, const char *message) {
    return (ml_error){.code = code, .message = message ? message : "", .capability = "plugin"};
}

ml_error ml_error_of_file(const char *name) {
    switch (errno) {
    case ENOENT:
        return ml_error_of(ML_NOT_FOUND, ML_TEXT("no file `", name, "`"));
    case EACCES:
    case EPERM:
    case EROFS:
    case ENOTCAPABLE: {
        ml_error error = ml_error_of(ML_DENIED, ML_TEXT("`", name, "` is outside the grant"));
        error.capability = "fs";
        return error;
    }
    case EEXIST:
        return ml_error_of(ML_CONFLICT, ML_TEXT("`", name, "` exists already"));
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return ml_error_of(ML_LIMIT, ML_TEXT("no room for `", name, "`"));
    default:
        return ml_error_of(ML_INTERNAL, ML_TEXT("`", name, "`: ", strerror(errno)));
    }
}

/* The cases of the contract are in the order of ml_code, without ML_NO_ERROR. */
ml_intern_plugin_types_error_t ml_lowered(ml_error error) {
    ml_intern_plugin_types_error_t lowered = {.tag = (uint8_t)(error.code - 1)};
    switch (error.code) {
    case ML_TIMEOUT:
    case ML_CANCELLED:
        break;
    case ML_DENIED:
        lowered.val.denied.capability = ml_owned(error.capability);
        lowered.val.denied.detail = ml_owned(error.message);
        break;
    case ML_UPSTREAM:
        lowered.val.upstream.status.is_some = error.status > 0;
        lowered.val.upstream.status.val = (uint16_t)error.status;
        lowered.val.upstream.message = ml_owned(error.message);
        lowered.val.upstream.retryable = error.retryable;
        break;
    default:
        lowered.val.internal = ml_owned(error.message);
    }
    return lowered;
}

ml_error ml_lifted(const ml_intern_plugin_types_error_t *error) {
    ml_error lifted = ml_error_of((ml_code)(error->tag + 1), "");
    bindings_string_t text = {NULL, 0};
    switch (lifted.code) {
    case ML_TIMEOUT:
    case ML_CANCELLED:
        break;
    case ML_DENIED:
        text = error->val.denied.capability;
        lifted.capability = ml_text_of(text.ptr, text.len);
        text = error->val.denied.detail;
        break;
    case ML_UPSTREAM:
        text = error->val.upstream.message;
        lifted.status = error->val.upstream.status.is_some ? error->val.upstream.status.val : 0;
        lifted.retryable = error->val.upstream.retryable;
        break;
    default:
        text = error->val.internal;
    }
    lifted.message = ml_text_of(text.ptr, text.len);
    return lifted;
}

void ml_log(ml_level level, const char *message) {
    bindings_string_t text = ml_borrowed(message);
    ml_intern_plugin_log_write((ml_intern_plugin_log_level_t)level, &text, NULL);
}

bool ml_progress(const char *message, double fraction) {
    bindings_string_t text = ml_borrowed(message);
    float known = (float)fraction;
    ml_intern_plugin_log_control_t control =
        ml_intern_plugin_log_progress(&text, fraction >= 0 ? &known : NULL);
    return control == ML_INTERN_PLUGIN_TYPES_CONTROL_PROCEED;
}

const char *ml_config(const char *key) {
    bindings_string_t name = ml_borrowed(key);
    bindings_option_string_t value;
    wasi_config_store_error_t error;
    if (!wasi_config_store_get(&name, &value, &error) || !value.is_some) {
        return NULL;
    }
    return ml_text_of(value.val.ptr, value.val.len);
}

bool ml_credential_is_set(const char *name) {
    bindings_string_t text = ml_borrowed(name);
    bool set = false;
    ml_intern_plugin_credential_error_t error;
    return ml_intern_plugin_credential_is_set(&text, &set, &error) && set;
}
