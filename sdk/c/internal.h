/* What the files of this SDK share. */
#ifndef ML_INTERN_INTERNAL_H
#define ML_INTERN_INTERNAL_H

#include "bindings.h"
#include "ml_intern.h"
#include "text.h"

/* Text as the bindings take it, only for the time of a call. */
bindings_string_t ml_borrowed(const char *text);

/* A copy, for what is returned: the bindings free it. */
bindings_string_t ml_owned(const char *text);

/* An error as the bindings return it. */
ml_intern_plugin_types_error_t ml_lowered(ml_error error);

/* An error as the bindings give it. */
ml_error ml_lifted(const ml_intern_plugin_types_error_t *error);

#endif
