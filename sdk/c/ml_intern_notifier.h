/* A plugin that tells a person or a system. */
#ifndef ML_INTERN_NOTIFIER_H
#define ML_INTERN_NOTIFIER_H

#include "ml_intern.h"

typedef struct {
    const char *id;
    const char *kind;     /* "turn_complete", "approval_required", "error", "job_finished", "budget", "message" */
    const char *severity; /* "info", "success", "warning", "error", "approval" */
    const char *title;    /* one line; like the body it may hold a model's words */
    const char *body;     /* Markdown */
    const char *url;      /* NULL for none */
    const char *data;     /* a JSON object; NULL for none */
} ml_notice;

/* Sends a notice. `external_id` may be set to the receiving service's id, for `ml_poll_reply`. */
ml_error ml_notify(const ml_notice *notice, const char **external_id);

/* Sets `reply` to an answer to an earlier notice, and leaves it where none has come. A plugin without
 * a way back does not define it. */
ml_error ml_poll_reply(const char *external_id, const char **reply);

#endif
