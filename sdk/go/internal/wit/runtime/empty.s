// Functions without a body are imports; this file lets the compiler take them.
