/* A notifier: it tells a person or a system what happened. */
#include "ml_intern_notifier.h"

ml_error ml_notify(const ml_notice *notice, const char **external_id) {
    (void)external_id;
    const char *url = ml_config("url");
    if (!url) {
        return ml_error_of(ML_INVALID_INPUT, "`url` is not set: set it in the notifier's `config`");
    }
    ml_json *told = ml_json_object();
    ml_json_set(told, "id", ml_json_of_text(notice->id));
    ml_json_set(told, "kind", ml_json_of_text(notice->kind));
    ml_json_set(told, "title", ml_json_of_text(notice->title));
    ml_json_set(told, "body", ml_json_of_text(notice->body));
    ml_json_set(told, "url", ml_json_of_text(notice->url));
    ml_http_response answer = ml_http_post(url, "application/json", ml_json_write(told));
    if (answer.error.code || (answer.status >= 200 && answer.status < 300)) {
        return answer.error;
    }
    ml_error error = ml_error_of(ML_UPSTREAM, ML_TEXT("`", url, "` answers ", ml_decimal(answer.status)));
    error.status = answer.status;
    error.retryable = answer.status == 429 || answer.status >= 500;
    return error;
}
