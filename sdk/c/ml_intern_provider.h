/* A plugin that talks to a language model. */
#ifndef ML_INTERN_PROVIDER_H
#define ML_INTERN_PROVIDER_H

#include "bindings.h"
#include "ml_intern.h"

typedef struct {
    const char *id;
    uint32_t context_window; /* tokens of input and output together; 0 where nobody knows */
    uint32_t max_output;     /* tokens */
    bool tools;              /* whether it can call tools */
} ml_model;

/* The plugin's models, once: ML_MODELS({.id = …}, {.id = …}). */
#define ML_MODELS(...)                                                                                       \
    const ml_model ml_models[] = {__VA_ARGS__};                                                              \
    const size_t ml_model_count = sizeof ml_models / sizeof *ml_models

extern const ml_model ml_models[];
extern const size_t ml_model_count;

/* All of a request, as the contract has it. */
typedef exports_ml_intern_plugin_provider_request_t ml_chat;

/* The text of the newest message of the user; "" where there is none. */
const char *ml_newest_input(const ml_chat *chat);

/* What a model answers, under way. */
typedef struct ml_reply ml_reply;

/* Adds to the answer's text, and shows it to the user where the request is for a stream. False asks to return
 * soon, with what there is. */
bool ml_say(ml_reply *reply, const char *text);

/* A call of a tool, at the end of the answer; `arguments` is JSON. */
void ml_call_tool(ml_reply *reply, const char *id, const char *name, const char *arguments);

/* What the service counted. */
void ml_used(ml_reply *reply, uint32_t input_tokens, uint32_t output_tokens);

/* One model call. */
ml_error ml_complete(const ml_chat *chat, ml_reply *reply);

#endif
