/* The exports of a notifier. */
#include "ml_intern_notifier.h"

#include "internal.h"

__attribute__((weak)) ml_error ml_poll_reply(const char *external_id, const char **reply) {
    (void)external_id, (void)reply;
    return ml_error_of(ML_UNSUPPORTED, "there is no way back");
}

static const char *text(bindings_string_t text) { return ml_text_of(text.ptr, text.len); }

/* In the order of the contract's cases. */
static const char *const severities[] = {"info", "success", "warning", "error", "approval"};

bool exports_ml_intern_plugin_notifier_notify(exports_ml_intern_plugin_notifier_notice_t *notice,
                                              exports_ml_intern_plugin_notifier_receipt_t *ret,
                                              exports_ml_intern_plugin_notifier_error_t *err) {
    ml_notice given = {.id = text(notice->id),
                       .kind = text(notice->kind),
                       .severity = notice->severity < 5 ? severities[notice->severity] : "info",
                       .title = text(notice->title),
                       .body = text(notice->body),
                       .url = notice->url.is_some ? text(notice->url.val) : NULL,
                       .data = notice->data.is_some ? text(notice->data.val) : NULL};
    const char *external_id = NULL;
    ml_error error = ml_notify(&given, &external_id);
    if (error.code) {
        *err = ml_lowered(error);
        return false;
    }
    ret->external_id.is_some = external_id != NULL;
    if (external_id) {
        ret->external_id.val = ml_owned(external_id);
    }
    return true;
}

bool exports_ml_intern_plugin_notifier_poll_reply(bindings_string_t *external_id, bindings_option_string_t *ret,
                                                  exports_ml_intern_plugin_notifier_error_t *err) {
    const char *reply = NULL;
    ml_error error = ml_poll_reply(text(*external_id), &reply);
    if (error.code) {
        *err = ml_lowered(error);
        return false;
    }
    ret->is_some = reply != NULL;
    if (reply) {
        ret->val = ml_owned(reply);
    }
    return true;
}
