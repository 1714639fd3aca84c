/* A tool: the model calls it, and reads what it returns. */
#include "ml_intern_tool.h"

#include <ctype.h>
#include <stdio.h>

static ml_output count_words(const ml_json *arguments, const ml_call *call) {
    (void)call;
    const char *path = ml_json_text(ml_json_get(arguments, "path"), "");
    double min_length = ml_json_number(ml_json_get(arguments, "min_length"), 1);
    FILE *file = fopen(ML_TEXT("/workspace/", path), "rb");
    if (!file) {
        return ml_failed(ml_error_of_file(path));
    }
    size_t words = 0, length = 0;
    for (int byte = 0; byte != EOF;) {
        byte = fgetc(file);
        if (byte != EOF && !isspace(byte)) {
            length++;
        } else {
            words += length > 0 && length >= min_length;
            length = 0;
        }
    }
    bool broken = ferror(file);
    fclose(file);
    if (broken) {
        return ml_failed(ml_error_of_file(path));
    }
    ml_json *result = ml_json_object();
    ml_json_set(result, "words", ml_json_of_number(words));
    return ml_json_output(result);
}

ML_TOOLS({
    .name = "{{ident}}",
    .description = "Counts the words of a file.",
    .schema = "{\"type\":\"object\",\"properties\":{"
              "\"path\":{\"type\":\"string\",\"description\":\"Relative to the workspace.\"},"
              "\"min_length\":{\"type\":\"integer\",\"default\":1,"
              "\"description\":\"Count words of at least this many bytes.\"}},"
              "\"required\":[\"path\"],\"additionalProperties\":false}",
    .effects = ML_READ_ONLY,
    .run = count_words,
});
