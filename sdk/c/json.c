/* JSON (RFC 8259), read into a tree and written from one. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ml_intern.h"
#include "text.h"

/* The host's own bound. */
#define MAX_DEPTH 128

/* Whole numbers up to here are exact in a double. */
#define MAX_WHOLE 9007199254740992.0

typedef enum { NUL, BOOLEAN, NUMBER, TEXT, ARRAY, OBJECT } type_t;

struct ml_json {
    type_t type;
    bool boolean;
    double number;
    const char *text;
    const char *key; /* where it is a member */
    ml_json *first, *last, *next;
    size_t length;
};

static ml_json *new_value(type_t type) {
    ml_json *value = ml_allocate(sizeof *value);
    *value = (ml_json){.type = type};
    return value;
}

ml_json *ml_json_object(void) { return new_value(OBJECT); }
ml_json *ml_json_array(void) { return new_value(ARRAY); }
ml_json *ml_json_null(void) { return new_value(NUL); }

ml_json *ml_json_of_text(const char *text) {
    ml_json *value = new_value(text ? TEXT : NUL);
    value->text = text;
    return value;
}

ml_json *ml_json_of_number(double number) {
    ml_json *value = new_value(isfinite(number) ? NUMBER : NUL);
    value->number = number;
    return value;
}

ml_json *ml_json_of_boolean(bool boolean) {
    ml_json *value = new_value(BOOLEAN);
    value->boolean = boolean;
    return value;
}

void ml_json_push(ml_json *array, ml_json *value) {
    if (array->last) {
        array->last->next = value;
    } else {
        array->first = value;
    }
    array->last = value;
    array->length++;
}

void ml_json_set(ml_json *object, const char *key, ml_json *value) {
    value->key = key;
    ml_json_push(object, value);
}

ml_json *ml_json_get(const ml_json *object, const char *key) {
    for (ml_json *member = object && object->type == OBJECT ? object->first : NULL; member; member = member->next) {
        if (strcmp(member->key, key) == 0) {
            return member;
        }
    }
    return NULL;
}

size_t ml_json_length(const ml_json *array) { return array && array->type == ARRAY ? array->length : 0; }

ml_json *ml_json_at(const ml_json *array, size_t index) {
    if (index >= ml_json_length(array)) {
        return NULL;
    }
    ml_json *item = array->first;
    while (index--) {
        item = item->next;
    }
    return item;
}

const char *ml_json_text(const ml_json *value, const char *otherwise) {
    return value && value->type == TEXT ? value->text : otherwise;
}

double ml_json_number(const ml_json *value, double otherwise) {
    return value && value->type == NUMBER ? value->number : otherwise;
}

bool ml_json_boolean(const ml_json *value, bool otherwise) {
    return value && value->type == BOOLEAN ? value->boolean : otherwise;
}

/* ---- reading -------------------------------------------------------------------------------- */

typedef struct {
    const char *at; /* text with a NUL byte at its end, which is in no token */
    int depth;
} reader_t;

static ml_json *read_value(reader_t *reader);

static void skip_space(reader_t *reader) { reader->at += strspn(reader->at, " \t\r\n"); }

static bool next_is(reader_t *reader, char byte) {
    skip_space(reader);
    if (*reader->at != byte) {
        return false;
    }
    reader->at++;
    return true;
}

/* Four hexadecimal digits, or -1. */
static int read_hex(reader_t *reader) {
    int code = 0;
    for (int digit = 0; digit < 4; digit++) {
        char byte = *reader->at;
        int value = byte >= '0' && byte <= '9'   ? byte - '0'
                    : byte >= 'a' && byte <= 'f' ? byte - 'a' + 10
                    : byte >= 'A' && byte <= 'F' ? byte - 'A' + 10
                                                 : -1;
        if (value < 0) {
            return -1;
        }
        code = code * 16 + value;
        reader->at++;
    }
    return code;
}

static char *write_utf8(char *end, unsigned long code) {
    if (code < 0x80) {
        *end++ = (char)code;
    } else if (code < 0x800) {
        *end++ = (char)(0xc0 | code >> 6);
        *end++ = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        *end++ = (char)(0xe0 | code >> 12);
        *end++ = (char)(0x80 | (code >> 6 & 0x3f));
        *end++ = (char)(0x80 | (code & 0x3f));
    } else {
        *end++ = (char)(0xf0 | code >> 18);
        *end++ = (char)(0x80 | (code >> 12 & 0x3f));
        *end++ = (char)(0x80 | (code >> 6 & 0x3f));
        *end++ = (char)(0x80 | (code & 0x3f));
    }
    return end;
}

/* A character after `\u`; half of a pair without the other half is U+FFFD. */
static char *read_unicode(reader_t *reader, char *end) {
    int code = read_hex(reader);
    if (code <= 0) {
        return NULL;
    }
    if (code >= 0xd800 && code < 0xe000) {
        reader_t ahead = *reader;
        if (code < 0xdc00 && *ahead.at == '\\' && ahead.at[1] == 'u') {
            ahead.at += 2;
            int low = read_hex(&ahead);
            if (low >= 0xdc00 && low < 0xe000) {
                *reader = ahead;
                return write_utf8(end, 0x10000ul + ((unsigned long)(code - 0xd800) << 10) + (unsigned long)(low - 0xdc00));
            }
        }
        code = 0xfffd;
    }
    return write_utf8(end, (unsigned long)code);
}

static const char *read_text(reader_t *reader) {
    size_t most = 0;
    for (const char *byte = reader->at; *byte && *byte != '"'; byte++, most++) {
        if (*byte == '\\' && byte[1]) {
            byte++, most++;
        }
    }
    /* An escape is never shorter than what it stands for. */
    char *text = ml_allocate(most + 1), *end = text;
    while (*reader->at != '"') {
        unsigned char byte = (unsigned char)*reader->at++;
        if (byte < 0x20) {
            return NULL;
        }
        if (byte != '\\') {
            *end++ = (char)byte;
            continue;
        }
        byte = (unsigned char)*reader->at++;
        static const char names[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
        const char *name = byte ? strchr(names, byte) : NULL;
        if (name) {
            *end++ = bytes[name - names];
        } else if (byte != 'u' || !(end = read_unicode(reader, end))) {
            return NULL;
        }
    }
    reader->at++;
    *end = 0;
    return text;
}

static ml_json *read_number(reader_t *reader) {
    const char *at = reader->at, *digits;
    at += *at == '-';
    digits = at;
    at += strspn(at, "0123456789");
    if (at == digits || (*digits == '0' && at > digits + 1)) {
        return NULL;
    }
    if (*at == '.') {
        digits = ++at;
        at += strspn(at, "0123456789");
        if (at == digits) {
            return NULL;
        }
    }
    if (*at == 'e' || *at == 'E') {
        at++;
        at += *at == '+' || *at == '-';
        digits = at;
        at += strspn(at, "0123456789");
        if (at == digits) {
            return NULL;
        }
    }
    ml_json *value = ml_json_of_number(strtod(reader->at, NULL));
    reader->at = at;
    return value;
}

static ml_json *read_items(reader_t *reader, ml_json *whole, char closing) {
    if (next_is(reader, closing)) {
        return whole;
    }
    do {
        const char *key = NULL;
        if (whole->type == OBJECT) {
            if (!next_is(reader, '"') || !(key = read_text(reader)) || !next_is(reader, ':')) {
                return NULL;
            }
        }
        ml_json *value = read_value(reader);
        if (!value) {
            return NULL;
        }
        value->key = key;
        ml_json_push(whole, value);
    } while (next_is(reader, ','));
    return next_is(reader, closing) ? whole : NULL;
}

static ml_json *read_word(reader_t *reader, const char *word, ml_json *value) {
    size_t length = strlen(word);
    if (strncmp(reader->at, word, length) != 0) {
        return NULL;
    }
    reader->at += length;
    return value;
}

static ml_json *read_value(reader_t *reader) {
    if (++reader->depth > MAX_DEPTH) {
        return NULL;
    }
    skip_space(reader);
    ml_json *value = NULL;
    switch (*reader->at) {
    case '{':
        reader->at++;
        value = read_items(reader, ml_json_object(), '}');
        break;
    case '[':
        reader->at++;
        value = read_items(reader, ml_json_array(), ']');
        break;
    case '"': {
        reader->at++;
        const char *text = read_text(reader);
        value = text ? ml_json_of_text(text) : NULL;
        break;
    }
    case 't':
        value = read_word(reader, "true", ml_json_of_boolean(true));
        break;
    case 'f':
        value = read_word(reader, "false", ml_json_of_boolean(false));
        break;
    case 'n':
        value = read_word(reader, "null", ml_json_null());
        break;
    default:
        value = read_number(reader);
    }
    reader->depth--;
    return value;
}

ml_json *ml_json_parse(const char *text, size_t length) {
    if (memchr(text, 0, length)) {
        return NULL;
    }
    reader_t reader = {.at = ml_text_of(text, length)};
    ml_json *value = read_value(&reader);
    skip_space(&reader);
    return *reader.at ? NULL : value;
}

/* ---- writing -------------------------------------------------------------------------------- */

typedef struct {
    char *bytes;
    size_t length, room;
} writer_t;

static void put(writer_t *writer, const char *bytes, size_t length) {
    if (writer->length + length + 1 > writer->room) {
        writer->room = 2 * (writer->length + length) + 64;
        writer->bytes = realloc(writer->bytes, writer->room);
        if (!writer->bytes) {
            abort();
        }
    }
    memcpy(writer->bytes + writer->length, bytes, length);
    writer->length += length;
    writer->bytes[writer->length] = 0;
}

static void put_text(writer_t *writer, const char *text) {
    put(writer, "\"", 1);
    for (const char *plain = text;;) {
        size_t length = 0;
        while ((unsigned char)plain[length] >= 0x20 && plain[length] != '"' && plain[length] != '\\') {
            length++;
        }
        put(writer, plain, length);
        unsigned char byte = (unsigned char)plain[length];
        if (!byte) {
            break;
        }
        static const char hex[] = "0123456789abcdef";
        char control[] = {'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15]}, escaped[] = {'\\', (char)byte};
        put(writer, byte < 0x20 ? control : escaped, byte < 0x20 ? sizeof control : sizeof escaped);
        plain += length + 1;
    }
    put(writer, "\"", 1);
}

static void put_number(writer_t *writer, double number) {
    char digits[32];
    const char *text = digits;
    if (number == floor(number) && fabs(number) <= MAX_WHOLE) {
        text = ml_decimal((long long)number);
    } else {
        /* The fewest digits that read as the same number. */
        for (int precision = 15; precision <= 17; precision++) {
            snprintf(digits, sizeof digits, "%.*g", precision, number);
            if (strtod(digits, NULL) == number) {
                break;
            }
        }
    }
    put(writer, text, strlen(text));
}

static void put_value(writer_t *writer, const ml_json *value) {
    switch (value ? value->type : NUL) {
    case NUL:
        put(writer, "null", 4);
        break;
    case BOOLEAN:
        put(writer, value->boolean ? "true" : "false", value->boolean ? 4 : 5);
        break;
    case NUMBER:
        put_number(writer, value->number);
        break;
    case TEXT:
        put_text(writer, value->text);
        break;
    case ARRAY:
    case OBJECT:
        put(writer, value->type == ARRAY ? "[" : "{", 1);
        for (const ml_json *item = value->first; item; item = item->next) {
            if (item != value->first) {
                put(writer, ",", 1);
            }
            if (value->type == OBJECT) {
                put_text(writer, item->key);
                put(writer, ":", 1);
            }
            put_value(writer, item);
        }
        put(writer, value->type == ARRAY ? "]" : "}", 1);
    }
}

const char *ml_json_write(const ml_json *value) {
    writer_t writer = {0};
    put_value(&writer, value);
    return writer.bytes;
}
