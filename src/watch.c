/* watch.c: the callbacks touch nothing but the watch and the kernel. */
#include "watch.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#if AITOEARN_EPOLL
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#endif

double watch_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Rounded up, lest a wait end just before what it waits for and spin. */
static int wait_ms(double seconds) {
  if (isinf(seconds))
    return -1;
  double ms = ceil(seconds * 1e3);
  return ms >= INT_MAX ? INT_MAX : ms <= 0 ? 0 : (int)ms;
}

/* libcurl calls this from within its own functions; acting on it has to wait until they are over. */
static int on_timer(CURLM *multi, long timeout_ms, void *userp) {
  watch *w = userp;
  (void)multi;
  w->due = timeout_ms < 0 ? INFINITY : watch_now() + (double)timeout_ms / 1e3;
  return 0;
}

#if AITOEARN_EPOLL

/* A handful, and no longer than that in seconds: each TLS handshake behind an event costs a millisecond. What is
 * left out is told again by the next wait. */
#define EVENTS_A_WAIT 8
#define LONGEST_WORK 0.001

/* The bits of sockets[s]. */
#define SOCKET_OURS 0x80   /* opened by on_open_socket */
#define SOCKET_IDLE 0x40   /* libcurl waits for nothing on it just now */
#define SOCKET_EVENTS 0x03 /* CURL_POLL_IN and CURL_POLL_OUT: what the epoll set has it for */

static bool is_ours(const watch *w, curl_socket_t s) {
  return (size_t)s < w->socket_count && (w->sockets[s] & SOCKET_OURS) != 0;
}

static bool grow_sockets(watch *w, curl_socket_t s) {
  size_t count = w->socket_count > 0 ? w->socket_count : 64;
  while (count <= (size_t)s)
    count *= 2;
  if (count == w->socket_count)
    return true;
  unsigned char *sockets = realloc(w->sockets, count);
  if (sockets == NULL)
    return false;
  memset(sockets + w->socket_count, 0, count - w->socket_count);
  w->sockets = sockets;
  w->socket_count = count;
  return true;
}

static curl_socket_t on_open_socket(void *userp, curlsocktype purpose,
                                    struct curl_sockaddr *address) {
  watch *w = userp;
  (void)purpose;
  curl_socket_t s =
      socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  if (s == CURL_SOCKET_BAD)
    return s;
  /* A path that died without a word: no HTTP/2 stream's time-out would close the connection, and each
   * request would be sent down it anew. */
  if (w->unacknowledged_ms > 0)
    setsockopt(s, IPPROTO_TCP, TCP_USER_TIMEOUT, &w->unacknowledged_ms, sizeof w->unacknowledged_ms);
  if (!grow_sockets(w, s)) {
    close(s);
    return CURL_SOCKET_BAD;
  }
  w->sockets[s] = SOCKET_OURS;
  w->open_sockets++;
  return s;
}

static int on_close_socket(void *userp, curl_socket_t s) {
  watch *w = userp;
  if (is_ours(w, s)) {
    w->sockets[s] = 0;
    w->open_sockets--;
  }
  return close(s); /* the kernel takes it out of the epoll set */
}

/* MOD and ADD in whichever order is likelier to be right at once: what libcurl opened and closed behind
 * our back (its resolver's socket pair) is not known here. */
static void set_events(const watch *w, curl_socket_t s, int what, bool registered) {
  struct epoll_event event = {0};
  event.events = ((what & CURL_POLL_IN) ? EPOLLIN : 0u) | ((what & CURL_POLL_OUT) ? EPOLLOUT : 0u);
  event.data.fd = s;
  int first = registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  int second = registered ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  if (epoll_ctl(w->epoll, first, s, &event) != 0)
    epoll_ctl(w->epoll, second, s, &event);
}

/* libcurl lets go of a kept-alive connection after each answer and takes it up for the next request.
 * A socket that we opened, and so will be told of when it is closed, stays registered in between: that
 * saves two system calls a request. Should it wake us meanwhile, act_on takes it out. */
static int on_socket(CURL *easy, curl_socket_t s, int what, void *userp, void *socketp) {
  watch *w = userp;
  (void)easy;
  (void)socketp;
  if (!is_ours(w, s)) {
    if (what == CURL_POLL_REMOVE)
      epoll_ctl(w->epoll, EPOLL_CTL_DEL, s, NULL); /* it may never have been added: no matter */
    else
      set_events(w, s, what, false);
  } else if (what == CURL_POLL_REMOVE) {
    w->sockets[s] |= SOCKET_IDLE;
  } else {
    int registered = w->sockets[s] & SOCKET_EVENTS;
    if (registered != what)
      set_events(w, s, what, registered != 0);
    w->sockets[s] = (unsigned char)(SOCKET_OURS | what);
  }
  return 0;
}

static CURLMcode act_on(watch *w, CURLM *multi, const struct epoll_event *event) {
  curl_socket_t s = event->data.fd;
  int running;
  if (s == w->timer) {
    w->armed = NAN; /* it fired: whatever it is set to next makes it unreadable */
  } else if (is_ours(w, s) && (w->sockets[s] & SOCKET_IDLE) != 0) {
    epoll_ctl(w->epoll, EPOLL_CTL_DEL, s, NULL);
    w->sockets[s] = SOCKET_OURS | SOCKET_IDLE;
  } else {
    int mask = ((event->events & EPOLLIN) ? CURL_CSELECT_IN : 0) |
               ((event->events & EPOLLOUT) ? CURL_CSELECT_OUT : 0) |
               ((event->events & (EPOLLERR | EPOLLHUP)) ? CURL_CSELECT_ERR : 0);
    return curl_multi_socket_action(multi, s, mask, &running);
  }
  return CURLM_OK;
}

CURLMcode watch_wait(watch *w, CURLM *multi, double timeout) {
  struct epoll_event events[EVENTS_A_WAIT];
  CURLMcode code = CURLM_OK;
  int count = epoll_wait(w->epoll, events, EVENTS_A_WAIT, wait_ms(timeout));
  double until = count > 1 ? watch_now() + LONGEST_WORK : INFINITY;
  int first = count > 0 ? w->first_event % count : 0;
  int done = 0;
  while (done < count && code == CURLM_OK && (done == 0 || watch_now() < until))
    code = act_on(w, multi, &events[(first + done++) % count]);
  /* The kernel tells of those that stay readable in the same order again: go on behind those that had their turn. */
  w->first_event = done < count ? first + done : 0;
  return code;
}

CURLMcode watch_run_due(watch *w, CURLM *multi) {
  int running;
  if (isinf(w->due) || w->due > watch_now())
    return CURLM_OK;
  w->due = INFINITY; /* libcurl names the next one while it acts */
  return curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running);
}

void watch_arm(watch *w, double due) {
  struct itimerspec at = {0};
  if (!w->shared || w->timer < 0 || due >= w->armed)
    return; /* set too early it is set again when it fires, which is rarer than to set it each time */
  if (due < 1e12) { /* later than that is never, and time_t may not hold it */
    double whole = floor(due);
    at.it_value.tv_sec = (time_t)whole;
    at.it_value.tv_nsec = (long)((due - whole) * 1e9);
    if (at.it_value.tv_sec <= 0 && at.it_value.tv_nsec <= 0)
      at.it_value.tv_nsec = 1; /* zero would disarm it */
  }
  if (timerfd_settime(w->timer, TFD_TIMER_ABSTIME, &at, NULL) == 0)
    w->armed = due;
}

bool watch_open(watch *w) {
  struct epoll_event event = {0};
  *w = (watch){.epoll = -1, .timer = -1, .due = INFINITY, .armed = INFINITY};
  w->epoll = epoll_create1(EPOLL_CLOEXEC);
  w->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  event.events = EPOLLIN;
  event.data.fd = w->timer;
  if (w->epoll >= 0 && w->timer >= 0 &&
      epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->timer, &event) == 0)
    return true;
  watch_close(w);
  return false;
}

void watch_close(watch *w) {
  if (w->timer >= 0)
    close(w->timer);
  if (w->epoll >= 0)
    close(w->epoll);
  free(w->sockets);
  *w = (watch){.epoll = -1, .timer = -1, .due = INFINITY, .armed = INFINITY};
}

void watch_close_sockets(watch *w) {
  for (size_t s = 0; s < w->socket_count; s++)
    if ((w->sockets[s] & SOCKET_OURS) != 0)
      close((int)s);
}

bool watch_attach_multi(watch *w, CURLM *multi) {
  return curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket) == CURLM_OK &&
         curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, w) == CURLM_OK &&
         curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer) == CURLM_OK &&
         curl_multi_setopt(multi, CURLMOPT_TIMERDATA, w) == CURLM_OK;
}

bool watch_attach_easy(watch *w, CURL *easy) {
  return curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, w) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close_socket) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, w) == CURLE_OK;
}

#else /* no epoll: libcurl waits by itself, hosts step the engine on a timer */

CURLMcode watch_wait(watch *w, CURLM *multi, double timeout) {
  int running;
  (void)w;
  curl_multi_poll(multi, NULL, 0, wait_ms(isinf(timeout) ? 1 : timeout), NULL);
  return curl_multi_perform(multi, &running);
}

CURLMcode watch_run_due(watch *w, CURLM *multi) {
  int running;
  if (isinf(w->due) || w->due > watch_now())
    return CURLM_OK;
  w->due = INFINITY;
  return curl_multi_perform(multi, &running);
}

void watch_arm(watch *w, double due) {
  (void)w;
  (void)due;
}

bool watch_open(watch *w) {
  *w = (watch){.epoll = -1, .timer = -1, .due = INFINITY, .armed = INFINITY};
  return true;
}

void watch_close(watch *w) {
  (void)w;
}

void watch_close_sockets(watch *w) {
  (void)w;
}

bool watch_attach_multi(watch *w, CURLM *multi) {
  return curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer) == CURLM_OK &&
         curl_multi_setopt(multi, CURLMOPT_TIMERDATA, w) == CURLM_OK;
}

bool watch_attach_easy(watch *w, CURL *easy) {
  (void)w;
  (void)easy;
  return true;
}

#endif
