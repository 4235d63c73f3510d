/* driver.c: runs the scenes of life.lua again and again, each time with another allocation that fails.
 *
 * Three kinds of allocations are counted and made to fail: Lua's (its allocator), libcurl's
 * (curl_global_init_mem), and those of our own C code (alloc.h). Each run is a process of its own, forked
 * where the scene begins; afterwards the client has to work, and when the Lua state is gone nothing may be
 * left: no block of any kind, no descriptor, nothing that LeakSanitizer finds.
 *
 *   driver life.lua             everything, within a limit for each scene
 *   driver life.lua SCENE       one scene
 *   driver life.lua SCENE KIND MODE N   one run, in the foreground
 *
 * Environment: TORTURE_LIMIT (runs per scene and kind; 0: all), TORTURE_JOBS, TORTURE_OFFSET. */
#include <curl/curl.h>
#include <sanitizer/asan_interface.h>
#include <dirent.h>
#include <dlfcn.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "alloc.h"

#undef malloc
#undef calloc
#undef realloc
#undef free

int luaopen_aitoearn_core(lua_State *L);
int __lsan_do_recoverable_leak_check(void);

/* -- allocations that fail ----------------------------------------------------------------------- */

enum { OF_LUA, OF_CURL, OF_OURS, KINDS };
static const char *const kind_names[KINDS] = {"lua", "curl", "ours"};

/* once: the Nth fails; burst: that one and the nineteen after it; collect: Lua's allocator fails at the
 * first try every time, so that all memory that nobody holds on to is collected at every allocation. */
enum { ONCE, BURST, COLLECT, MODES };
static const char *const mode_names[MODES] = {"once", "burst", "collect"};
#define BURST_LENGTH 20

static struct {
  bool armed;
  int kind;
  int mode;
  long at; /* from 1 */
  long seen[KINDS];
  long live[KINDS];
  long fired;
  bool retrying; /* Lua collects and tries the same request again */
  void *retry_block;
  size_t retry_size;
} torture;

static bool is_retry(void *block, size_t size) {
  bool same = torture.retrying && torture.retry_block == block && torture.retry_size == size;
  torture.retrying = false;
  return same;
}

static bool expect_retry(void *block, size_t size) {
  torture.retrying = true;
  torture.retry_block = block;
  torture.retry_size = size;
  torture.fired++;
  return true;
}

static bool lua_fails(void *block, size_t size) {
  bool retry = is_retry(block, size);
  if (!torture.armed || torture.kind != OF_LUA)
    return false;
  if (torture.mode == COLLECT)
    return !retry && expect_retry(block, size);
  if (retry)
    return true;
  long number = __atomic_add_fetch(&torture.seen[OF_LUA], 1, __ATOMIC_RELAXED);
  long length = torture.mode == BURST ? BURST_LENGTH : 1;
  return number >= torture.at && number < torture.at + length && expect_retry(block, size);
}

static bool fails(int kind) {
  if (!torture.armed || torture.kind != kind)
    return false;
  long number = __atomic_add_fetch(&torture.seen[kind], 1, __ATOMIC_RELAXED);
  long length = torture.mode == BURST ? BURST_LENGTH : 1;
  if (number < torture.at || number >= torture.at + length)
    return false;
  torture.fired++;
  return true;
}

static void *counted(int kind, void *block) {
  if (block != NULL)
    __atomic_add_fetch(&torture.live[kind], 1, __ATOMIC_RELAXED);
  return block;
}

static void release(int kind, void *block) {
  if (block != NULL)
    __atomic_sub_fetch(&torture.live[kind], 1, __ATOMIC_RELAXED);
  free(block);
}

static void *resize(int kind, void *block, size_t size) {
  if (fails(kind))
    return NULL;
  return block == NULL ? counted(kind, malloc(size)) : realloc(block, size);
}

void *torture_malloc(size_t size) { return fails(OF_OURS) ? NULL : counted(OF_OURS, malloc(size)); }
void *torture_calloc(size_t n, size_t size) { return fails(OF_OURS) ? NULL : counted(OF_OURS, calloc(n, size)); }
void *torture_realloc(void *block, size_t size) { return resize(OF_OURS, block, size); }
void torture_free(void *block) { release(OF_OURS, block); }

/* -- libcurl's memory: it frees some blocks twice when memory runs out (7.88: the name of a TLS session,
 * Curl_ssl_addsessionid). That is no fault of ours, and must not hide those that are: its blocks stay, each
 * with a head that says so, poisoned for whoever looks into them, and a second free is counted. */
typedef struct block {
  struct block *next; /* keeps it in LeakSanitizer's sight */
  size_t size;
  bool freed;
} block;

static block *blocks;
static long freed_twice;

static block *head_of(void *bytes) {
  return (block *)bytes - 1;
}

static void *curl_malloc(size_t size) {
  block *b = fails(OF_CURL) ? NULL : malloc(sizeof *b + size);
  if (b == NULL)
    return NULL;
  b->size = size;
  b->freed = false;
  do /* libcurl's resolver is a thread */
    b->next = __atomic_load_n(&blocks, __ATOMIC_RELAXED);
  while (!__atomic_compare_exchange_n(&blocks, &b->next, b, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
  return counted(OF_CURL, b + 1);
}

static void *curl_calloc(size_t n, size_t size) {
  void *bytes = curl_malloc(n * size);
  return bytes != NULL ? memset(bytes, 0, n * size) : NULL;
}

static void curl_release(void *bytes) {
  if (bytes == NULL)
    return;
  if (head_of(bytes)->freed) {
    freed_twice++;
    return;
  }
  head_of(bytes)->freed = true;
  __asan_poison_memory_region(bytes, head_of(bytes)->size);
  __atomic_sub_fetch(&torture.live[OF_CURL], 1, __ATOMIC_RELAXED);
}

static void *curl_realloc(void *bytes, size_t size) {
  void *larger = curl_malloc(size);
  if (larger != NULL && bytes != NULL) {
    size_t old = head_of(bytes)->size;
    memcpy(larger, bytes, old < size ? old : size);
    curl_release(bytes);
  }
  return larger;
}

static char *curl_strdup(const char *text) {
  char *copy = curl_malloc(strlen(text) + 1);
  return copy != NULL ? strcpy(copy, text) : NULL;
}

/* Lua counts on it that making a block smaller never fails. */
static void *lua_allocate(void *unused, void *block, size_t old, size_t size) {
  (void)unused;
  if (size == 0) {
    release(OF_LUA, block);
    return NULL;
  }
  if (block != NULL && size <= old)
    return realloc(block, size);
  if (lua_fails(block, size))
    return NULL;
  return block == NULL ? counted(OF_LUA, malloc(size)) : realloc(block, size);
}

/* -- one run ------------------------------------------------------------------------------------- */

typedef struct {
  long fired;
  long freed_twice;
  char message[512];
} outcome;

static int descriptors(void) {
  int count = 0;
  DIR *folder = opendir("/proc/self/fd");
  while (readdir(folder) != NULL)
    count++;
  closedir(folder);
  return count;
}

static lua_State *new_state(void) {
  lua_State *L = lua_newstate(lua_allocate, NULL);
  luaL_openlibs(L);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, luaopen_aitoearn_core);
  lua_setfield(L, -2, "aitoearn.core");
  lua_settop(L, 0);
  return L;
}

/* Calls scene[name](...) with what is on the stack above `top`; the scene is at index 1. */
static bool call(lua_State *L, const char *name, int top, outcome *out) {
  if (lua_getfield(L, 1, name) == LUA_TNIL) {
    lua_settop(L, top);
    return true;
  }
  lua_insert(L, top + 1);
  if (lua_pcall(L, lua_gettop(L) - top - 1, LUA_MULTRET, 0) == LUA_OK)
    return true;
  snprintf(out->message, sizeof out->message, "%s: %s", name, luaL_tolstring(L, -1, NULL));
  return false;
}

/* The scene itself, with the failure in it; then what has to hold afterwards. */
static bool play(lua_State *L, outcome *out) {
  lua_settop(L, 1);
  luaL_checkstack(L, 100, NULL);
  if (!call(L, "prepare", 1, out))
    return false;
  lua_getfield(L, 1, "run");
  lua_insert(L, 2);
  torture.armed = true;
  bool ok = lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 0) == LUA_OK;
  torture.armed = torture.retrying = false;
  out->fired = torture.fired;
  lua_pushboolean(L, torture.mode == BURST);
  lua_setglobal(L, "in_burst");
  lua_pushboolean(L, ok);
  lua_insert(L, 2);
  return call(L, "after", 1, out);
}

static bool left_behind(outcome *out, const long *before, int fds) {
  for (int kind = 0; kind < KINDS; kind++)
    if (torture.live[kind] != (kind == OF_LUA ? 0 : before[kind])) {
      snprintf(out->message, sizeof out->message, "%ld blocks of %s are left", torture.live[kind] - before[kind],
               kind_names[kind]);
      return true;
    }
  if (descriptors() != fds) {
    snprintf(out->message, sizeof out->message, "%d descriptors are left", descriptors() - fds);
    return true;
  }
  return false;
}

/* In a process of its own. */
static int run(lua_State *L, int kind, int mode, long at, outcome *out) {
  long before[KINDS];
  int fds = descriptors();
  memcpy(before, torture.live, sizeof before);
  torture.kind = kind;
  torture.mode = mode;
  torture.at = at;
  alarm(mode == COLLECT ? 120 : 15);
  if (!play(L, out))
    return 1;
  lua_close(L);
  out->freed_twice = freed_twice;
  if (left_behind(out, before, fds))
    return 1;
  if (__lsan_do_recoverable_leak_check() != 0) {
    snprintf(out->message, sizeof out->message, "LeakSanitizer found a leak");
    return 1;
  }
  return 0;
}

/* -- all runs ------------------------------------------------------------------------------------ */

#define MAX_JOBS 16

static struct {
  pid_t pid;
  long at;
  outcome *out;
} jobs[MAX_JOBS];
static int job_count;
static long runs, failures, faults_of_libcurl;

static void log_path(char *path, size_t size, int job) {
  snprintf(path, size, "%s/torture-%d.log", getenv("TORTURE_DIR"), job);
}

static void show_log(int job) {
  char line[1000];
  log_path(line, sizeof line, job);
  FILE *log = fopen(line, "r");
  for (int i = 0; log != NULL && i < 60 && fgets(line, sizeof line, log) != NULL; i++)
    fprintf(stderr, "    %s", line);
  if (log != NULL)
    fclose(log);
}

/* Waits for one; returns its slot, with whether the failure had its turn in `fired`. */
static int reap(const char *scene, int kind, int mode, bool *fired) {
  int status, job = 0;
  pid_t pid = wait(&status);
  while (jobs[job].pid != pid)
    job++;
  outcome *out = jobs[job].out;
  jobs[job].pid = 0;
  runs++;
  faults_of_libcurl += out->freed_twice > 0;
  *fired = out->fired > 0 || !WIFEXITED(status);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
    return job;
  failures++;
  fprintf(stderr, "FAILED: %s %s %s %ld: ", scene, kind_names[kind], mode_names[mode], jobs[job].at);
  if (WIFSIGNALED(status))
    fprintf(stderr, "%s\n", WTERMSIG(status) == SIGALRM ? "hangs" : strsignal(WTERMSIG(status)));
  else
    fprintf(stderr, "%s\n", out->message[0] != '\0' ? out->message : "a sanitizer ended it");
  show_log(job);
  return job;
}

static void launch(lua_State *L, int job, int kind, int mode, long at) {
  char path[1000];
  log_path(path, sizeof path, job);
  fflush(NULL);
  memset(jobs[job].out, 0, sizeof *jobs[job].out);
  jobs[job].at = at;
  jobs[job].pid = fork();
  if (jobs[job].pid != 0)
    return;
  if (freopen(path, "w", stderr) == NULL)
    _exit(1);
  int status = run(L, kind, mode, at, jobs[job].out);
  fflush(NULL);
  _exit(status);
}

/* How many allocations a scene makes: a run in which none fails tells. */
static long count(lua_State *L, int kind) {
  long *seen = mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  int status;
  *seen = 0;
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) {
    outcome out = {0};
    status = run(L, kind, ONCE, -1, &out);
    *seen = torture.seen[kind];
    fprintf(stderr, "%s", out.message);
    _exit(status);
  }
  waitpid(pid, &status, 0);
  if (status != 0) {
    failures++;
    fprintf(stderr, "FAILED: without any failure\n");
  }
  long result = *seen;
  munmap(seen, sizeof *seen);
  return result;
}

static long number_from(const char *name, long otherwise) {
  const char *text = getenv(name);
  return text != NULL && *text != '\0' ? atol(text) : otherwise;
}

/* Every `stride`th allocation, one after the other, until the failure never comes any more. */
static void series(lua_State *L, const char *scene, int kind, int mode, long total, long limit) {
  long stride = limit > 0 && total > limit ? (total + limit - 1) / limit : 1;
  long at = 1 + number_from("TORTURE_OFFSET", 0) % stride;
  long most = mode == COLLECT ? 1 : total + 50;
  long before = runs, failed = failures;
  int running = 0;
  bool fired = true;
  while (running > 0 || (at <= most && (fired || at <= total))) {
    int job = 0;
    if (running < job_count && at <= most && (fired || at <= total)) {
      while (jobs[job].pid != 0)
        job++;
      launch(L, job, kind, mode, at);
      at += stride;
      running++;
    } else {
      reap(scene, kind, mode, &fired);
      running--;
    }
  }
  printf("%-12s %-5s %-7s %5ld allocations, %5ld runs, %ld failed\n", scene, kind_names[kind],
         mode_names[mode], total, runs - before, failures - failed);
}

static void torment(lua_State *L, const char *scene) {
  long limit = number_from("TORTURE_LIMIT", 250);
  for (int kind = 0; kind < KINDS; kind++) {
    long total = count(L, kind);
    if (total > 0)
      series(L, scene, kind, ONCE, total, limit);
    if (total > 0)
      series(L, scene, kind, BURST, total, limit > 0 ? (limit + 4) / 5 : 0);
  }
  series(L, scene, OF_LUA, COLLECT, 1, 0);
}

static int find(const char *name, const char *const *names, int length) {
  for (int i = 0; i < length; i++)
    if (strcmp(name, names[i]) == 0)
      return i;
  fprintf(stderr, "%s: unknown\n", name);
  exit(2);
}

static int repeat(lua_State *L, char **arguments) {
  outcome out = {0};
  int status = run(L, find(arguments[1], kind_names, KINDS), find(arguments[2], mode_names, MODES),
                   atol(arguments[3]), &out);
  printf("%ld allocations failed; %s\n", out.fired, status == 0 ? "all is well" : out.message);
  return status;
}

/* lua_close takes lua-cjson out of memory, and its name out of what LeakSanitizer says. */
static void keep_cjson(lua_State *L) {
  if (luaL_dostring(L, "return package.searchpath('cjson', package.cpath)") == LUA_OK && lua_isstring(L, 1))
    dlopen(lua_tostring(L, 1), RTLD_LAZY);
  lua_settop(L, 0);
}

/* life.lua returns the scenes in their order; `setup` runs once, before the processes are made. */
int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  curl_global_init_mem(CURL_GLOBAL_DEFAULT, curl_malloc, curl_release, curl_realloc, curl_strdup, curl_calloc);
  job_count = (int)number_from("TORTURE_JOBS", 4);
  job_count = job_count > MAX_JOBS ? MAX_JOBS : job_count;
  for (int i = 0; i < job_count; i++)
    jobs[i].out = mmap(NULL, sizeof(outcome), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  lua_State *L = new_state();
  keep_cjson(L);
  if (luaL_loadfile(L, argv[1]) != LUA_OK || lua_pcall(L, 0, 1, 0) != LUA_OK) {
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
    return 2;
  }
  int scenes = (int)lua_rawlen(L, 1);
  for (int i = 1; i <= scenes; i++) {
    outcome out = {0};
    lua_rawgeti(L, 1, i);
    lua_getfield(L, -1, "name");
    const char *name = lua_tostring(L, -1);
    lua_pushvalue(L, 1);
    lua_insert(L, 1);
    lua_rawgeti(L, 1, i);
    lua_replace(L, 1); /* the scene at 1, the list at 2 */
    lua_settop(L, 2);
    if (!call(L, "setup", 2, &out)) {
      fprintf(stderr, "%s: %s\n", name, out.message);
      return 2;
    }
    lua_settop(L, 2);
    lua_gc(L, LUA_GCCOLLECT);
    if (argc == 6 && strcmp(argv[2], name) == 0)
      return repeat(L, argv + 2);
    if (argc == 2 || (argc == 3 && strcmp(argv[2], name) == 0))
      torment(L, name);
    lua_remove(L, 1);
  }
  if (faults_of_libcurl > 0)
    printf("in %ld runs libcurl %s itself freed a block twice\n", faults_of_libcurl, curl_version_info(CURLVERSION_NOW)->version);
  printf("%ld passed, %ld failed\n", runs - failures, failures);
  lua_close(L);
  return failures > 0;
}
