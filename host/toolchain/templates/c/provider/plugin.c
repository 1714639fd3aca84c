/* A provider: it talks to a language model. This one says what it was told, word by word. */
#include "ml_intern_provider.h"

#include <string.h>

ML_MODELS({.id = "echo", .context_window = 8192});

ml_error ml_complete(const ml_chat *chat, ml_reply *reply) {
    const char *rest = ml_newest_input(chat);
    uint32_t words = 0;
    while (*rest) {
        size_t length = strcspn(rest, " ");
        length += strspn(rest + length, " ");
        char word[length + 1];
        memcpy(word, rest, length);
        word[length] = 0;
        rest += length;
        words++;
        if (!ml_say(reply, word)) {
            break;
        }
    }
    ml_used(reply, words, words);
    return (ml_error){0};
}
