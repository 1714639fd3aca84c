/* The exports of a tool plugin. */
#include "ml_intern_tool.h"

#include <string.h>

#include "internal.h"

ml_output ml_text(const char *text) { return (ml_output){.text = text}; }

ml_output ml_json_output(const ml_json *value) {
    return (ml_output){.text = ml_json_write(value), .is_json = true};
}

ml_output ml_correctable(const char *text) { return (ml_output){.text = text, .is_correctable = true}; }

ml_output ml_failed(ml_error error) { return (ml_output){.error = error}; }

ml_output ml_fail(ml_code code, const char *message) { return ml_failed(ml_error_of(code, message)); }

bool exports_ml_intern_plugin_tool_describe(exports_ml_intern_plugin_tool_list_descriptor_t *ret,
                                            exports_ml_intern_plugin_tool_error_t *err) {
    (void)err;
    ret->len = ml_tool_count;
    ret->ptr = ml_allocate(ml_tool_count * sizeof *ret->ptr);
    for (size_t index = 0; index < ml_tool_count; index++) {
        const ml_tool *tool = &ml_tools[index];
        ret->ptr[index] = (exports_ml_intern_plugin_tool_descriptor_t){
            .name = ml_owned(tool->name),
            .description = ml_owned(tool->description),
            .input_schema = ml_owned(tool->schema),
            .effects = {.read_only = tool->effects & ML_READ_ONLY,
                        .idempotent = tool->effects & (ML_READ_ONLY | ML_IDEMPOTENT),
                        .destructive = tool->effects & ML_DESTRUCTIVE,
                        .open_world = tool->effects & ML_OPEN_WORLD},
        };
    }
    return true;
}

static ml_output run(const char *name, const bindings_string_t *arguments, const ml_call *call) {
    ml_json *parsed = ml_json_parse((const char *)arguments->ptr, arguments->len);
    if (!parsed) {
        return ml_fail(ML_INVALID_INPUT, "the arguments are not JSON, nest too deep or have a NUL character");
    }
    for (size_t index = 0; index < ml_tool_count; index++) {
        if (strcmp(ml_tools[index].name, name) == 0) {
            return ml_tools[index].run(parsed, call);
        }
    }
    return ml_fail(ML_NOT_FOUND, ML_TEXT("unknown tool `", name, "`"));
}

bool exports_ml_intern_plugin_tool_call(bindings_string_t *name, exports_ml_intern_plugin_tool_json_t *arguments,
                                        exports_ml_intern_plugin_tool_context_t *context,
                                        exports_ml_intern_plugin_tool_output_t *ret,
                                        exports_ml_intern_plugin_tool_error_t *err) {
    ml_call call = {.session = ml_text_of(context->session.ptr, context->session.len),
                    .id = ml_text_of(context->call.ptr, context->call.len),
                    .deadline_ms = context->deadline_ms};
    ml_output output = run(ml_text_of(name->ptr, name->len), arguments, &call);
    if (output.error.code) {
        *err = ml_lowered(output.error);
        return false;
    }
    ret->is_error = output.is_correctable;
    ret->content.len = 1;
    ret->content.ptr = ml_allocate(sizeof *ret->content.ptr);
    ret->content.ptr->tag =
        output.is_json ? EXPORTS_ML_INTERN_PLUGIN_TOOL_CONTENT_JSON : EXPORTS_ML_INTERN_PLUGIN_TOOL_CONTENT_TEXT;
    ret->content.ptr->val.text = ml_owned(output.text ? output.text : "");
    return true;
}

static bool bucket_of(ml_scope scope, wasi_keyvalue_store_own_bucket_t *bucket) {
    bindings_string_t name = ml_borrowed(scope == ML_SESSION ? "session" : "project");
    wasi_keyvalue_store_error_t error;
    return wasi_keyvalue_store_open(&name, bucket, &error);
}

const char *ml_state_get(ml_scope scope, const char *key) {
    wasi_keyvalue_store_own_bucket_t bucket;
    if (!bucket_of(scope, &bucket)) {
        return NULL;
    }
    bindings_string_t name = ml_borrowed(key);
    bindings_option_list_u8_t value;
    wasi_keyvalue_store_error_t error;
    bool found = wasi_keyvalue_store_method_bucket_get(wasi_keyvalue_store_borrow_bucket(bucket), &name, &value, &error);
    wasi_keyvalue_store_bucket_drop_own(bucket);
    return found && value.is_some ? ml_text_of(value.val.ptr, value.val.len) : NULL;
}

bool ml_state_set(ml_scope scope, const char *key, const char *value) {
    wasi_keyvalue_store_own_bucket_t bucket;
    if (!bucket_of(scope, &bucket)) {
        return false;
    }
    bindings_string_t name = ml_borrowed(key);
    bindings_list_u8_t bytes = {(uint8_t *)value, strlen(value)};
    wasi_keyvalue_store_error_t error;
    bool set = wasi_keyvalue_store_method_bucket_set(wasi_keyvalue_store_borrow_bucket(bucket), &name, &bytes, &error);
    wasi_keyvalue_store_bucket_drop_own(bucket);
    return set;
}

bool ml_state_delete(ml_scope scope, const char *key) {
    wasi_keyvalue_store_own_bucket_t bucket;
    if (!bucket_of(scope, &bucket)) {
        return false;
    }
    bindings_string_t name = ml_borrowed(key);
    wasi_keyvalue_store_error_t error;
    bool gone = wasi_keyvalue_store_method_bucket_delete(wasi_keyvalue_store_borrow_bucket(bucket), &name, &error);
    wasi_keyvalue_store_bucket_drop_own(bucket);
    return gone;
}
