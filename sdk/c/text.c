/* Memory and text. */
#include "text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "ml_intern.h"

void *ml_allocate(size_t bytes) {
    void *memory = malloc(bytes ? bytes : 1);
    if (!memory) {
        abort();
    }
    return memory;
}

const char *ml_text_of(const void *bytes, size_t length) {
    char *text = ml_allocate(length + 1);
    if (length) {
        memcpy(text, bytes, length);
    }
    text[length] = 0;
    return text;
}

const char *ml_join(const char *first, ...) {
    va_list texts;
    size_t length = 0;
    va_start(texts, first);
    for (const char *text = first; text; text = va_arg(texts, const char *)) {
        length += strlen(text);
    }
    va_end(texts);
    char *joined = ml_allocate(length + 1), *end = joined;
    va_start(texts, first);
    for (const char *text = first; text; text = va_arg(texts, const char *)) {
        size_t bytes = strlen(text);
        memcpy(end, text, bytes);
        end += bytes;
    }
    va_end(texts);
    *end = 0;
    return joined;
}

const char *ml_decimal(long long number) {
    char digits[24], *start = digits + sizeof digits;
    unsigned long long rest = number < 0 ? 0 - (unsigned long long)number : (unsigned long long)number;
    do {
        *--start = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    if (number < 0) {
        *--start = '-';
    }
    return ml_text_of(start, (size_t)(digits + sizeof digits - start));
}
