/* terminal.h: what the command asks of the system: whether this is a terminal, how wide it is,
 * whose a file is, what can be read without waiting. */
#ifndef AITOEARN_TERMINAL_H
#define AITOEARN_TERMINAL_H

#include "compat.h"

HIDDEN_BEGIN

/* Adds is_terminal, terminal_size, file_status, read_available and is_hung_up to the module table on
 * top of the stack. */
void terminal_open(lua_State *L);

HIDDEN_END

#endif
