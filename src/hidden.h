/* hidden.h: put around the declarations of every header here, so that only the entry point is
 * exported, whatever the compiler's options (LuaRocks passes no -fvisibility). */
#ifndef AITOEARN_HIDDEN_H
#define AITOEARN_HIDDEN_H

#if defined(__GNUC__)
#define HIDDEN_BEGIN _Pragma("GCC visibility push(hidden)")
#define HIDDEN_END _Pragma("GCC visibility pop")
#else
#define HIDDEN_BEGIN
#define HIDDEN_END
#endif

#endif
