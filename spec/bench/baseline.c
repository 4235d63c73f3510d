/* baseline.c: what libcurl itself costs, for spec/bench/run.lua to compare with.
 *
 *   baseline MODE PREFIX KEY CA COUNT WARM_UP CONCURRENCY
 *
 * asks for COUNT ids after WARM_UP others, and prints the CPU seconds, the wall-clock seconds, the answers
 * that were not HTTP 200, and the connections of the COUNT. MODE is one of
 *   easy    one easy handle, one URL, curl_easy_perform in a loop
 *   poll    CONCURRENCY easy handles in a curl_multi: curl_multi_poll and curl_multi_perform
 *   epoll   the same by curl_multi_socket_action over epoll
 * PREFIX is what stands before the id in the URL, CA a file or "-". The headers are those that the library
 * sends; bodies go into one buffer that is reused. */
#include <curl/curl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

typedef struct {
  char *bytes;
  size_t length;
  size_t capacity;
} body;

typedef struct {
  CURLM *multi;
  int epoll;
  double due; /* when libcurl wants its next time-out; below 0: not at all */
  const char *prefix;
  long next_id;
  long failed;
  long connections;
} bench;

static double seconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void fail(const char *message) {
  fprintf(stderr, "baseline: %s\n", message);
  exit(1);
}

static size_t on_body(char *bytes, size_t size, size_t count, void *userp) {
  body *b = userp;
  size_t length = size * count;
  if (b->length + length > b->capacity) {
    b->capacity = (b->length + length) * 2;
    b->bytes = realloc(b->bytes, b->capacity);
    if (b->bytes == NULL)
      fail("out of memory");
  }
  memcpy(b->bytes + b->length, bytes, length);
  b->length += length;
  return length;
}

static struct curl_slist *request_headers(const char *key) {
  char line[256];
  snprintf(line, sizeof line, "X-Api-Key: %s", key);
  struct curl_slist *list = curl_slist_append(NULL, line);
  list = curl_slist_append(list, "x-request-id: 01234567-89ab-4cde-8f01-23456789abcd");
  return curl_slist_append(list, "Accept: application/json");
}

static CURL *new_easy(struct curl_slist *headers, const char *ca, body *b) {
  CURL *easy = curl_easy_init();
  if (easy == NULL)
    fail("out of memory");
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "aitoearn-lua/0.1.0");
  curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, b);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, b);
  if (strcmp(ca, "-") != 0) {
    curl_easy_setopt(easy, CURLOPT_CAINFO, ca);
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
  }
  return easy;
}

static void set_url(bench *m, CURL *easy) {
  char url[512];
  snprintf(url, sizeof url, "%s6877a1b2%016lx", m->prefix, m->next_id++);
  curl_easy_setopt(easy, CURLOPT_URL, url);
}

static void judge(bench *m, CURL *easy, CURLcode result, body *b) {
  long status = 0;
  long connects = 0;
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &connects);
  if (result != CURLE_OK || status != 200 || b->length == 0)
    m->failed++;
  m->connections += connects;
  b->length = 0;
}

/* -- easy --------------------------------------------------------------------------------------- */

static void run_easy(bench *m, CURL **easies, long count) {
  body *b;
  curl_easy_getinfo(easies[0], CURLINFO_PRIVATE, (char **)&b);
  for (long i = 0; i < count; i++)
    judge(m, easies[0], curl_easy_perform(easies[0]), b);
}

/* -- multi -------------------------------------------------------------------------------------- */

static void start(bench *m, CURL *easy) {
  set_url(m, easy);
  if (curl_multi_add_handle(m->multi, easy) != CURLM_OK)
    fail("curl_multi_add_handle");
}

/* Takes what is done, and sends what is still to be sent by the same handles. */
static void reap(bench *m, long *left_to_start, long *left_to_end) {
  CURLMsg *message;
  int queued;
  while ((message = curl_multi_info_read(m->multi, &queued)) != NULL) {
    CURL *easy = message->easy_handle;
    CURLcode result = message->data.result;
    body *b;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&b);
    judge(m, easy, result, b);
    curl_multi_remove_handle(m->multi, easy);
    (*left_to_end)--;
    if (*left_to_start > 0) {
      (*left_to_start)--;
      start(m, easy);
    }
  }
}

static void step_poll(bench *m) {
  int running;
  if (curl_multi_poll(m->multi, NULL, 0, 1000, NULL) != CURLM_OK ||
      curl_multi_perform(m->multi, &running) != CURLM_OK)
    fail("curl_multi_perform");
}

static int on_timer(CURLM *multi, long timeout_ms, void *userp) {
  bench *m = userp;
  (void)multi;
  m->due = timeout_ms < 0 ? -1 : seconds(CLOCK_MONOTONIC) + (double)timeout_ms / 1e3;
  return 0;
}

static int on_socket(CURL *easy, curl_socket_t s, int what, void *userp, void *known) {
  static char mark;
  bench *m = userp;
  struct epoll_event event = {0};
  (void)easy;
  event.events = ((what & CURL_POLL_IN) ? EPOLLIN : 0u) | ((what & CURL_POLL_OUT) ? EPOLLOUT : 0u);
  event.data.fd = s;
  if (what == CURL_POLL_REMOVE) {
    epoll_ctl(m->epoll, EPOLL_CTL_DEL, s, NULL);
  } else {
    epoll_ctl(m->epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, s, &event);
    curl_multi_assign(m->multi, s, &mark);
  }
  return 0;
}

static void step_epoll(bench *m) {
  struct epoll_event events[16];
  int running;
  double left = m->due < 0 ? 1 : m->due - seconds(CLOCK_MONOTONIC);
  if (left > 0) {
    int count = epoll_wait(m->epoll, events, 16, (int)(left * 1e3) + 1);
    for (int i = 0; i < count; i++) {
      int mask = ((events[i].events & EPOLLIN) ? CURL_CSELECT_IN : 0) |
                 ((events[i].events & EPOLLOUT) ? CURL_CSELECT_OUT : 0) |
                 ((events[i].events & (EPOLLERR | EPOLLHUP)) ? CURL_CSELECT_ERR : 0);
      curl_multi_socket_action(m->multi, events[i].data.fd, mask, &running);
    }
  }
  if (m->due >= 0 && m->due <= seconds(CLOCK_MONOTONIC)) {
    m->due = -1;
    curl_multi_socket_action(m->multi, CURL_SOCKET_TIMEOUT, 0, &running);
  }
}

static void run_multi(bench *m, CURL **easies, long concurrency, long count) {
  long left_to_start = count;
  long left_to_end = count;
  for (long i = 0; i < concurrency && left_to_start > 0; i++, left_to_start--)
    start(m, easies[i]);
  while (left_to_end > 0) {
    if (m->epoll >= 0)
      step_epoll(m);
    else
      step_poll(m);
    reap(m, &left_to_start, &left_to_end);
  }
}

static void open_multi(bench *m, bool by_epoll, long concurrency) {
  m->multi = curl_multi_init();
  if (m->multi == NULL)
    fail("out of memory");
  curl_multi_setopt(m->multi, CURLMOPT_MAXCONNECTS, concurrency);
  if (!by_epoll)
    return;
  m->epoll = epoll_create1(EPOLL_CLOEXEC);
  curl_multi_setopt(m->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
  curl_multi_setopt(m->multi, CURLMOPT_SOCKETDATA, m);
  curl_multi_setopt(m->multi, CURLMOPT_TIMERFUNCTION, on_timer);
  curl_multi_setopt(m->multi, CURLMOPT_TIMERDATA, m);
}

static void run(bench *m, CURL **easies, long concurrency, long count) {
  m->failed = m->connections = 0;
  if (m->multi == NULL)
    run_easy(m, easies, count);
  else
    run_multi(m, easies, concurrency, count);
}

int main(int argc, char **argv) {
  if (argc != 8)
    fail("MODE PREFIX KEY CA COUNT WARM_UP CONCURRENCY expected");
  bench m = {.epoll = -1, .due = -1, .prefix = argv[2]};
  long count = atol(argv[5]);
  long warm_up = atol(argv[6]);
  long concurrency = atol(argv[7]);
  if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
    fail("curl_global_init");
  struct curl_slist *headers = request_headers(argv[3]);
  CURL **easies = calloc((size_t)concurrency, sizeof *easies);
  body *bodies = calloc((size_t)concurrency, sizeof *bodies);
  if (easies == NULL || bodies == NULL)
    fail("out of memory");
  for (long i = 0; i < concurrency; i++)
    easies[i] = new_easy(headers, argv[4], &bodies[i]);
  if (strcmp(argv[1], "easy") == 0)
    set_url(&m, easies[0]);
  else
    open_multi(&m, strcmp(argv[1], "epoll") == 0, concurrency);
  run(&m, easies, concurrency, warm_up);
  double wall = seconds(CLOCK_MONOTONIC);
  double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
  run(&m, easies, concurrency, count);
  printf("%.6f %.6f %ld %ld\n", seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu,
         seconds(CLOCK_MONOTONIC) - wall, m.failed, m.connections);
  return 0;
}
