/* Memory and text, without the bindings. */
#ifndef ML_INTERN_TEXT_H
#define ML_INTERN_TEXT_H

#include <stddef.h>

/* Memory that is there; the instance ends where it is not. */
void *ml_allocate(size_t bytes);

/* A copy with a NUL byte behind it. */
const char *ml_text_of(const void *bytes, size_t length);

#endif
