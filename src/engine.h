/* engine.h: one client's transfers, all moved on by `poll`.
 *
 * An engine is a Lua userdata that owns a curl_multi, the watch behind its descriptor, a share (TLS
 * sessions) and every handle. It opens lazily: one made before a fork (nginx's init_by_lua) is nobody's
 * until a process uses it, and a process that finds it opened by its parent starts afresh.
 *
 * On HTTP/1.1 a transfer waits in its origin's list until a connection is free, so that its time-out
 * begins when it can be sent; libcurl's own queue would let the clock run.
 * Whatever is done goes into one list, from which `next` hands it out. */
#ifndef AITOEARN_ENGINE_H
#define AITOEARN_ENGINE_H

#include "transfer.h"

#include "compat.h"

HIDDEN_BEGIN

/* Takes a transfer that is not done out of whatever it is in; it is then done, with that ending. */
void engine_end(transfer *t, const char *ending, const char *message);

/* Nobody has the transfer any more: out of every list with it. */
void engine_forget(transfer *t);

/* Gives the transfer's handle, if it has one, back. */
void engine_release(transfer *t);

/* Adds engine(options), monotonic(), time() and wait_fd(fd, ms) to the module table at `module`. */
void engine_open(lua_State *L, int module);

HIDDEN_END

#endif
