/* A blocking client over wasi:http. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "internal.h"

/* The most that the host takes in one blocking write. */
#define CHUNK 4096

#define DEFAULT_MAX_BYTES ((size_t)8 << 20)

typedef wasi_http_types_error_code_t code_t;

static ml_http_response failed(ml_error error) {
    return (ml_http_response){.error = error, .body = ""};
}

static ml_error upstream(const char *message) {
    ml_error error = ml_error_of(ML_UPSTREAM, message);
    error.retryable = true;
    return error;
}

static ml_error of_code(const code_t *code, const char *url) {
    switch (code->tag) {
    case WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_DENIED:
    case WASI_HTTP_TYPES_ERROR_CODE_DESTINATION_IP_PROHIBITED: {
        ml_error error = ml_error_of(
            ML_DENIED, ML_TEXT("`", url, "` is outside this plugin's grant; `[[request.http]]` in its manifest "
                               "must list the host, method and path, and the user must grant it"));
        error.capability = "http";
        return error;
    }
    case WASI_HTTP_TYPES_ERROR_CODE_DNS_TIMEOUT:
    case WASI_HTTP_TYPES_ERROR_CODE_CONNECTION_TIMEOUT:
    case WASI_HTTP_TYPES_ERROR_CODE_CONNECTION_READ_TIMEOUT:
    case WASI_HTTP_TYPES_ERROR_CODE_CONNECTION_WRITE_TIMEOUT:
    case WASI_HTTP_TYPES_ERROR_CODE_HTTP_RESPONSE_TIMEOUT:
        return ml_error_of(ML_TIMEOUT, "");
    case WASI_HTTP_TYPES_ERROR_CODE_CONNECTION_LIMIT_REACHED:
        return ml_error_of(ML_LIMIT, "more requests than `requests-per-minute` or `requests-at-once` in this "
                                     "plugin's `[limits]` allow");
    case WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_BODY_SIZE:
    case WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_URI_TOO_LONG:
    case WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_HEADER_SECTION_SIZE:
    case WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_HEADER_SIZE:
    case WASI_HTTP_TYPES_ERROR_CODE_HTTP_RESPONSE_HEADER_SECTION_SIZE:
    case WASI_HTTP_TYPES_ERROR_CODE_HTTP_RESPONSE_HEADER_SIZE:
    case WASI_HTTP_TYPES_ERROR_CODE_HTTP_RESPONSE_BODY_SIZE:
        return ml_error_of(ML_LIMIT, ML_TEXT("`", url, "`: the request or its answer is too large"));
    case WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_METHOD_INVALID:
    case WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_URI_INVALID:
    case WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_LENGTH_REQUIRED:
        return ml_error_of(ML_INTERNAL, ML_TEXT("`", url, "`: the request is not valid"));
    case WASI_HTTP_TYPES_ERROR_CODE_CONNECTION_REFUSED:
        return upstream(ML_TEXT("`", url, "`: connection refused"));
    case WASI_HTTP_TYPES_ERROR_CODE_DNS_ERROR:
    case WASI_HTTP_TYPES_ERROR_CODE_DESTINATION_NOT_FOUND:
        return upstream(ML_TEXT("`", url, "`: the host's name has no address"));
    case WASI_HTTP_TYPES_ERROR_CODE_INTERNAL_ERROR:
        if (code->val.internal_error.is_some) {
            bindings_string_t text = code->val.internal_error.val;
            return upstream(ML_TEXT("`", url, "`: ", ml_text_of(text.ptr, text.len)));
        }
        /* fall through */
    default:
        return upstream(ML_TEXT("`", url, "`: no answer (case ", ml_decimal(code->tag), " of wasi:http)"));
    }
}

static bool set_method(wasi_http_types_borrow_outgoing_request_t request, const char *name) {
    /* In the order of the contract's cases. */
    static const char *const known[] = {"GET",    "HEAD",    "POST",    "PUT",  "DELETE",
                                        "CONNECT", "OPTIONS", "TRACE", "PATCH"};
    wasi_http_types_method_t method = {.tag = WASI_HTTP_TYPES_METHOD_OTHER};
    method.val.other = ml_borrowed(name);
    for (uint8_t index = 0; index < sizeof known / sizeof *known; index++) {
        if (strcmp(name, known[index]) == 0) {
            method.tag = index;
        }
    }
    return wasi_http_types_method_outgoing_request_set_method(request, &method);
}

/* Sets scheme, authority and path; false where the URL is none. */
static bool set_url(wasi_http_types_borrow_outgoing_request_t request, const char *url) {
    wasi_http_types_scheme_t scheme = {.tag = WASI_HTTP_TYPES_SCHEME_HTTPS};
    const char *rest;
    if (strncasecmp(url, "https://", 8) == 0) {
        rest = url + 8;
    } else if (strncasecmp(url, "http://", 7) == 0) {
        scheme.tag = WASI_HTTP_TYPES_SCHEME_HTTP;
        rest = url + 7;
    } else {
        return false;
    }
    size_t host = strcspn(rest, "/?#");
    const char *path = rest + host;
    size_t length = strcspn(path, "#");
    bindings_string_t authority = {(uint8_t *)rest, host};
    const char *whole = ml_text_of(path, length);
    if (*whole != '/') {
        whole = ML_TEXT("/", whole);
    }
    bindings_string_t target = ml_borrowed(whole);
    return host > 0 && wasi_http_types_method_outgoing_request_set_scheme(request, &scheme) &&
           wasi_http_types_method_outgoing_request_set_authority(request, &authority) &&
           wasi_http_types_method_outgoing_request_set_path_with_query(request, &target);
}

static bool add_header(wasi_http_types_borrow_fields_t fields, const char *name, const char *value) {
    wasi_http_types_field_name_t key = ml_borrowed(name);
    wasi_http_types_field_value_t bytes = {(uint8_t *)value, strlen(value)};
    wasi_http_types_header_error_t error;
    return wasi_http_types_method_fields_append(fields, &key, &bytes, &error);
}

static bool write_body(wasi_http_types_own_outgoing_body_t body, const ml_http_request *request) {
    wasi_http_types_own_output_stream_t stream;
    bool sent = wasi_http_types_method_outgoing_body_write(wasi_http_types_borrow_outgoing_body(body), &stream);
    if (sent) {
        uint8_t *bytes = (uint8_t *)request->body;
        for (size_t at = 0; sent && at < request->body_length; at += CHUNK) {
            size_t left = request->body_length - at;
            bindings_list_u8_t chunk = {bytes + at, left < CHUNK ? left : CHUNK};
            wasi_io_streams_stream_error_t error;
            sent = wasi_io_streams_method_output_stream_blocking_write_and_flush(
                wasi_io_streams_borrow_output_stream(stream), &chunk, &error);
        }
        wasi_io_streams_output_stream_drop_own(stream);
    }
    code_t error;
    /* The answer says more than this would, also where the other side read only a part. */
    return wasi_http_types_static_outgoing_body_finish(body, NULL, &error) && sent;
}

static ml_http_response read_body(wasi_http_types_own_incoming_response_t response, const char *url, size_t most) {
    ml_http_response answer = {.body = ""};
    answer.status =
        wasi_http_types_method_incoming_response_status(wasi_http_types_borrow_incoming_response(response));
    wasi_http_types_own_incoming_body_t body;
    if (!wasi_http_types_method_incoming_response_consume(wasi_http_types_borrow_incoming_response(response),
                                                          &body)) {
        return failed(upstream("the answer has no body"));
    }
    wasi_http_types_own_input_stream_t stream;
    bool open = wasi_http_types_method_incoming_body_stream(wasi_http_types_borrow_incoming_body(body), &stream);
    char *bytes = NULL;
    size_t length = 0, room = 0;
    bool streaming = open;
    while (streaming) {
        bindings_list_u8_t chunk;
        wasi_io_streams_stream_error_t error;
        if (!wasi_io_streams_method_input_stream_blocking_read(wasi_io_streams_borrow_input_stream(stream), 65536,
                                                               &chunk, &error)) {
            if (error.tag != WASI_IO_STREAMS_STREAM_ERROR_CLOSED) {
                wasi_io_error_error_drop_own(error.val.last_operation_failed);
                answer.error = upstream(ML_TEXT("`", url, "`: the connection was cut"));
            }
            break;
        }
        if (length + chunk.len > most) {
            answer.error = ml_error_of(
                ML_LIMIT, ML_TEXT("`", url, "`: the answer has more than ", ml_decimal((long long)most), " bytes"));
            streaming = false;
        } else {
            if (length + chunk.len + 1 > room) {
                room = 2 * (length + chunk.len) + 1;
                bytes = realloc(bytes, room);
                if (!bytes) {
                    abort();
                }
            }
            memcpy(bytes + length, chunk.ptr, chunk.len);
            length += chunk.len;
        }
        free(chunk.ptr);
    }
    if (open) {
        wasi_io_streams_input_stream_drop_own(stream);
    }
    wasi_http_types_incoming_body_drop_own(body);
    if (bytes) {
        bytes[length] = 0;
        answer.body = bytes;
        answer.length = length;
    }
    return answer;
}

static ml_http_response wait_for(wasi_http_types_own_future_incoming_response_t future, const char *url,
                                 size_t most) {
    wasi_http_types_borrow_future_incoming_response_t waiting =
        wasi_http_types_borrow_future_incoming_response(future);
    wasi_http_types_own_pollable_t ready = wasi_http_types_method_future_incoming_response_subscribe(waiting);
    wasi_io_poll_method_pollable_block(wasi_io_poll_borrow_pollable(ready));
    wasi_io_poll_pollable_drop_own(ready);
    wasi_http_types_result_result_own_incoming_response_error_code_void_t result;
    if (!wasi_http_types_method_future_incoming_response_get(waiting, &result) || result.is_err) {
        return failed(ml_error_of(ML_INTERNAL, "the host gave no answer"));
    }
    if (result.val.ok.is_err) {
        return failed(of_code(&result.val.ok.val.err, url));
    }
    ml_http_response answer = read_body(result.val.ok.val.ok, url, most);
    wasi_http_types_incoming_response_drop_own(result.val.ok.val.ok);
    return answer;
}

ml_http_response ml_http(ml_http_request request) {
    const char *url = request.url ? request.url : "";
    wasi_http_types_own_fields_t fields = wasi_http_types_constructor_fields();
    bool valid = true;
    for (const char *const *header = request.headers; header && header[0] && header[1]; header += 2) {
        valid = add_header(wasi_http_types_borrow_fields(fields), header[0], header[1]) && valid;
    }
    if (request.body) {
        const char *length = ml_decimal((long long)request.body_length);
        valid = add_header(wasi_http_types_borrow_fields(fields), "content-length", length) && valid;
    }
    wasi_http_types_own_outgoing_request_t outgoing = wasi_http_types_constructor_outgoing_request(fields);
    wasi_http_types_borrow_outgoing_request_t borrowed = wasi_http_types_borrow_outgoing_request(outgoing);
    valid = valid && set_method(borrowed, request.method ? request.method : "GET") && set_url(borrowed, url);
    wasi_http_types_own_outgoing_body_t body;
    valid = valid && wasi_http_types_method_outgoing_request_body(borrowed, &body);
    if (!valid) {
        wasi_http_types_outgoing_request_drop_own(outgoing);
        return failed(ml_error_of(ML_INTERNAL, ML_TEXT("`", url, "`: the URL, the method or a header is not valid")));
    }
    wasi_http_types_own_future_incoming_response_t future;
    code_t code;
    if (!wasi_http_outgoing_handler_handle(outgoing, NULL, &future, &code)) {
        wasi_http_types_outgoing_body_drop_own(body);
        return failed(of_code(&code, url));
    }
    write_body(body, &request);
    ml_http_response answer = wait_for(future, url, request.max_bytes ? request.max_bytes : DEFAULT_MAX_BYTES);
    wasi_http_types_future_incoming_response_drop_own(future);
    return answer;
}

ml_http_response ml_http_get(const char *url, size_t max_bytes) {
    return ml_http((ml_http_request){.url = url, .max_bytes = max_bytes});
}

ml_http_response ml_http_post(const char *url, const char *content_type, const char *body) {
    const char *const headers[] = {"content-type", content_type, NULL};
    return ml_http((ml_http_request){
        .method = "POST", .url = url, .headers = headers, .body = body, .body_length = strlen(body)});
}
