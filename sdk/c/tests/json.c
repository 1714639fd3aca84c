/* Reads lines of JSON and writes each as it was understood, or a line with `-`; natively, for
 * tests/it/authoring.rs. */
#include <stdio.h>
#include <stdlib.h>

#include "../ml_intern.h"

int main(void) {
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    while ((length = getline(&line, &room, stdin)) > 0) {
        length -= line[length - 1] == '\n';
        ml_json *value = ml_json_parse(line, (size_t)length);
        puts(value ? ml_json_write(value) : "-");
    }
    free(line);
    return 0;
}
