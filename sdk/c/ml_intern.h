/* Write ml-intern plugins in C. A plugin includes the header of its kind: ml_intern_tool.h,
 * ml_intern_provider.h or ml_intern_notifier.h, each of which includes this one.
 *
 * An instance lives for one call. Whatever these functions return stays valid until the call ends,
 * and nothing of it has to be freed. Text is UTF-8 and ends with a NUL byte.
 *
 * What is not here is in the generated `bindings.h`, which `ml-intern plugin build` writes to
 * build/bindings. */
#ifndef ML_INTERN_H
#define ML_INTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- errors --------------------------------------------------------------------------------- */

/* Named by what the caller does next. */
typedef enum {
    ML_NO_ERROR,
    ML_INVALID_INPUT,    /* correct the call */
    ML_DENIED,           /* outside the grant */
    ML_AUTH_REQUIRED,    /* a credential is missing or was refused; the message is its name */
    ML_NOT_FOUND,        /* no such tool, file, model, job */
    ML_CONFLICT,         /* it exists already, or changed meanwhile */
    ML_LIMIT,            /* a size, count, rate or budget */
    ML_TIMEOUT,          /* no time left */
    ML_CANCELLED,        /* somebody stopped it */
    ML_CONTEXT_OVERFLOW, /* providers: the model's context window is exceeded */
    ML_UPSTREAM,         /* a service failed */
    ML_UNSUPPORTED,      /* the plugin cannot do this */
    ML_INTERNAL          /* anything else */
} ml_code;

typedef struct {
    ml_code code; /* ML_NO_ERROR where all went well */
    const char *message;
    const char *capability; /* of ML_DENIED, such as "fs.read" */
    int status;             /* of ML_UPSTREAM; 0 where the service was not reached */
    bool retryable;         /* of ML_UPSTREAM */
} ml_error;

/* An error. Lower case, no period at the end, the offending value in backticks. */
ml_error ml_error_of(ml_code code, const char *message);

/* What `errno` says after a file could not be opened, read or written. */
ml_error ml_error_of_file(const char *name);

/* ---- text ----------------------------------------------------------------------------------- */

/* The texts joined: ML_TEXT("no file `", name, "`"). */
#define ML_TEXT(...) ml_join(__VA_ARGS__, (const char *)NULL)
const char *ml_join(const char *first, ...) __attribute__((sentinel));

/* A whole number as text. */
const char *ml_decimal(long long number);

/* ---- JSON ----------------------------------------------------------------------------------- */

/* A JSON value. A NULL pointer is a value that is not there: every function takes it. */
typedef struct ml_json ml_json;

/* NULL where `text` is not one JSON value, nests deeper than 128, or has a NUL character in it. */
ml_json *ml_json_parse(const char *text, size_t length);

/* A member of an object; NULL where there is none. */
ml_json *ml_json_get(const ml_json *object, const char *key);

/* Items of an array. */
size_t ml_json_length(const ml_json *array);
ml_json *ml_json_at(const ml_json *array, size_t index);

/* What a value holds; `otherwise` where it is not there or of another type. */
const char *ml_json_text(const ml_json *value, const char *otherwise);
double ml_json_number(const ml_json *value, double otherwise);
bool ml_json_boolean(const ml_json *value, bool otherwise);

ml_json *ml_json_object(void);
ml_json *ml_json_array(void);
ml_json *ml_json_of_text(const char *text);
ml_json *ml_json_of_number(double number); /* null where it is not finite */
ml_json *ml_json_of_boolean(bool boolean);
ml_json *ml_json_null(void);

/* Adds a member at the end; the key must not be there. */
void ml_json_set(ml_json *object, const char *key, ml_json *value);
void ml_json_push(ml_json *array, ml_json *value);

/* The value as JSON. */
const char *ml_json_write(const ml_json *value);

/* ---- the host ------------------------------------------------------------------------------- */

typedef enum { ML_TRACE, ML_DEBUG, ML_INFO, ML_WARN, ML_ERROR } ml_level;

/* One line for the session's diagnostics. */
void ml_log(ml_level level, const char *message);

/* Shows `message` beside the running call; `fraction` is 0 to 1, or below 0 where nobody knows.
 * False asks to end the call soon, with what there is. */
bool ml_progress(const char *message, double fraction);

/* A key of the configuration; NULL where nobody set it. */
const char *ml_config(const char *key);

/* Whether the user has set a value for a credential that the plugin requests. */
bool ml_credential_is_set(const char *name);

/* A request to the network. The host adds credentials and follows no redirects. */
typedef struct {
    const char *method;         /* "GET" where it is NULL */
    const char *url;            /* absolute, http or https */
    const char *const *headers; /* name, value, name, value, …, NULL; or NULL */
    const void *body;           /* NULL for none */
    size_t body_length;
    size_t max_bytes; /* of the answer's body; 8 MiB where it is 0 */
} ml_http_request;

typedef struct {
    ml_error error; /* where there is no answer */
    int status;
    const char *body; /* with a NUL byte behind it */
    size_t length;
} ml_http_response;

ml_http_response ml_http(ml_http_request request);
ml_http_response ml_http_get(const char *url, size_t max_bytes);
ml_http_response ml_http_post(const char *url, const char *content_type, const char *body);

#endif
