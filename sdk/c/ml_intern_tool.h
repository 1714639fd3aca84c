/* A plugin whose tools the model calls. */
#ifndef ML_INTERN_TOOL_H
#define ML_INTERN_TOOL_H

#include "ml_intern.h"

/* What a call does at most; the host holds it to that. */
enum {
    ML_NO_EFFECTS = 0,
    ML_READ_ONLY = 1, /* changes nothing, and may be repeated */
    ML_IDEMPOTENT = 2,
    ML_DESTRUCTIVE = 4,
    ML_OPEN_WORLD = 8 /* reaches beyond the session: the network, other programs */
};

typedef struct {
    const char *session;
    const char *id;       /* the same when the call runs again after a crash */
    uint32_t deadline_ms; /* left when the call starts */
} ml_call;

/* What a call answers. */
typedef struct {
    ml_error error; /* the call could not be done */
    const char *text;
    bool is_json;
    bool is_correctable;
} ml_output;

ml_output ml_text(const char *text);
ml_output ml_json_output(const ml_json *value);
/* A failure that the model sees and may correct; the turn goes on. */
ml_output ml_correctable(const char *text);
ml_output ml_failed(ml_error error);
ml_output ml_fail(ml_code code, const char *message);

typedef struct {
    const char *name;        /* ^[a-z][a-z0-9_]{0,63}$ */
    const char *description; /* read by the model */
    const char *schema;      /* JSON Schema of the arguments, an object */
    unsigned effects;
    /* The arguments fit the schema. */
    ml_output (*run)(const ml_json *arguments, const ml_call *call);
} ml_tool;

/* The plugin's tools, once: ML_TOOLS({.name = …}, {.name = …}). */
#define ML_TOOLS(...)                                                                                        \
    const ml_tool ml_tools[] = {__VA_ARGS__};                                                                \
    const size_t ml_tool_count = sizeof ml_tools / sizeof *ml_tools

extern const ml_tool ml_tools[];
extern const size_t ml_tool_count;

/* What lasts from call to call. No other plugin sees it. */
typedef enum { ML_SESSION, ML_PROJECT } ml_scope;

/* NULL where the key was never set. */
const char *ml_state_get(ml_scope scope, const char *key);
/* False where the host's store fails or a limit is reached. */
bool ml_state_set(ml_scope scope, const char *key, const char *value);
bool ml_state_delete(ml_scope scope, const char *key);

#endif
