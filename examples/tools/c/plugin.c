#include "ml_intern_tool.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BYTES (1 << 20)

typedef struct {
    ml_error error;
    const char *bytes;
    size_t length;
} text_t;

static text_t read_file(const char *source) {
    FILE *file = fopen(ML_TEXT("/workspace/", source), "rb");
    if (!file) {
        return (text_t){.error = ml_error_of_file(source)};
    }
    static char bytes[MAX_BYTES];
    text_t text = {.bytes = bytes, .length = fread(bytes, 1, sizeof bytes, file)};
    if (ferror(file)) {
        text.error = ml_error_of_file(source);
    } else if (fgetc(file) != EOF) {
        text.error = ml_error_of(ML_LIMIT, ML_TEXT("`", source, "` has more than 1 MiB"));
    }
    fclose(file);
    return text;
}

static text_t read_page(const char *source) {
    ml_http_response page = ml_http_get(source, MAX_BYTES);
    text_t text = {.error = page.error, .bytes = page.body, .length = page.length};
    if (!text.error.code && page.status == 404) {
        text.error = ml_error_of(ML_NOT_FOUND, ML_TEXT("no page `", source, "`"));
    } else if (!text.error.code && page.status != 200) {
        text.error = ml_error_of(ML_UPSTREAM, ML_TEXT("`", source, "` answers ", ml_decimal(page.status)));
        text.error.status = page.status;
        text.error.retryable = page.status >= 500;
    }
    return text;
}

static size_t count(text_t text, size_t min_length) {
    size_t words = 0, length = 0;
    for (size_t index = 0; index <= text.length; index++) {
        if (index < text.length && !isspace((unsigned char)text.bytes[index])) {
            length++;
        } else {
            words += length > 0 && length >= min_length;
            length = 0;
        }
    }
    return words;
}

static ml_output word_count(const ml_json *arguments, const ml_call *call) {
    (void)call;
    const char *source = ml_json_text(ml_json_get(arguments, "source"), "");
    double min_length = ml_json_number(ml_json_get(arguments, "min_length"), 1);
    if (!*source) {
        return ml_fail(ML_INVALID_INPUT, "source: must not be empty");
    }
    const char *before = ml_state_get(ML_SESSION, "calls");
    long calls = (before ? atol(before) : 0) + 1;
    if (!ml_state_set(ML_SESSION, "calls", ml_decimal(calls))) {
        return ml_fail(ML_INTERNAL, "the number of calls cannot be kept");
    }

    if (!ml_progress(ML_TEXT("reading ", source), 0)) {
        return ml_fail(ML_CANCELLED, "");
    }
    bool is_page = strncmp(source, "http://", 7) == 0 || strncmp(source, "https://", 8) == 0;
    text_t text = is_page ? read_page(source) : read_file(source);
    if (text.error.code) {
        return ml_failed(text.error);
    }
    size_t words = count(text, min_length > 0 ? (size_t)min_length : 0);
    ml_progress("counted", 1);

    ml_json *result = ml_json_object();
    ml_json_set(result, "source", ml_json_of_text(source));
    ml_json_set(result, "words", ml_json_of_number(words));
    ml_json_set(result, "bytes", ml_json_of_number(text.length));
    ml_json_set(result, "calls", ml_json_of_number(calls));
    return ml_json_output(result);
}

ML_TOOLS({
    .name = "word_count",
    .description = "Counts the words of a file or of a page.",
    .schema = "{\"type\":\"object\",\"properties\":{"
              "\"source\":{\"type\":\"string\",\"description\":\"A file of the workspace, or a URL.\"},"
              "\"min_length\":{\"type\":\"integer\",\"default\":1,"
              "\"description\":\"Count words of at least this many bytes.\"}},"
              "\"required\":[\"source\"],\"additionalProperties\":false}",
    .effects = ML_READ_ONLY | ML_OPEN_WORLD,
    .run = word_count,
});
