/* poller.c: the callbacks touch nothing but the poller and the kernel. */
#include "poller.h"

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

double poller_now(void) {
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

/* libcurl calls this from within its own functions; acting on it has to wait until they are
 * over. */
static int on_timer(CURLM *multi, long timeout_ms, void *userp) {
  poller *p = userp;
  (void)multi;
  p->due = timeout_ms < 0 ? INFINITY : poller_now() + (double)timeout_ms / 1e3;
  return 0;
}

void poller_init(poller *p) {
  *p = (poller){.epoll = -1, .timer = -1, .due = INFINITY, .armed = INFINITY};
}

#if AITOEARN_EPOLL

/* A handful, and no longer than that in seconds: each TLS handshake behind an event costs a
 * millisecond. What is left out is told again by the next wait. */
#define EVENTS_PER_WAIT 8
#define LONGEST_WORK 0.001

/* The bits of sockets[s]. */
#define SOCKET_OURS 0x80 /* opened by on_open_socket */
#define SOCKET_IDLE 0x40 /* libcurl waits for nothing on it just now */
#define SOCKET_EVENTS 0x03 /* CURL_POLL_IN and CURL_POLL_OUT: what the epoll set has it for */

static bool is_ours(const poller *p, curl_socket_t s) {
  return (size_t)s < p->socket_count && (p->sockets[s] & SOCKET_OURS) != 0;
}

static bool grow_sockets(poller *p, curl_socket_t s) {
  size_t count = p->socket_count > 0 ? p->socket_count : 64;
  while (count <= (size_t)s)
    count *= 2;
  if (count == p->socket_count)
    return true;
  unsigned char *sockets = realloc(p->sockets, count);
  if (sockets == NULL)
    return false;
  memset(sockets + p->socket_count, 0, count - p->socket_count);
  p->sockets = sockets;
  p->socket_count = count;
  return true;
}

static curl_socket_t on_open_socket(void *userp, curlsocktype purpose,
                                    struct curl_sockaddr *address) {
  poller *p = userp;
  (void)purpose;
  curl_socket_t s = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  if (s == CURL_SOCKET_BAD)
    return s;
  /* A path that died without a word: no HTTP/2 stream's time-out would close the connection, and
   * each request would be sent down it anew. */
  if (p->tcp_user_timeout_ms > 0)
    setsockopt(s, IPPROTO_TCP, TCP_USER_TIMEOUT, &p->tcp_user_timeout_ms,
               sizeof p->tcp_user_timeout_ms);
  if (!grow_sockets(p, s)) {
    close(s);
    return CURL_SOCKET_BAD;
  }
  p->sockets[s] = SOCKET_OURS;
  p->open_sockets++;
  return s;
}

static int on_close_socket(void *userp, curl_socket_t s) {
  poller *p = userp;
  if (is_ours(p, s)) {
    p->sockets[s] = 0;
    p->open_sockets--;
  }
  return close(s); /* the kernel takes it out of the epoll set */
}

/* MOD and ADD in whichever order is likelier to be right at once: what libcurl opened and closed
 * behind our back (its resolver's socket pair) is not known here. */
static void set_events(const poller *p, curl_socket_t s, int what, bool registered) {
  struct epoll_event event = {0};
  event.events = ((what & CURL_POLL_IN) ? EPOLLIN : 0u) | ((what & CURL_POLL_OUT) ? EPOLLOUT : 0u);
  event.data.fd = s;
  int first = registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  int second = registered ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  if (epoll_ctl(p->epoll, first, s, &event) != 0)
    epoll_ctl(p->epoll, second, s, &event);
}

/* libcurl lets go of a kept-alive connection after each answer and takes it up for the next
 * request. A socket that we opened, and so will be told of when it is closed, stays registered
 * in between: that saves two system calls a request. Should it wake us meanwhile, act_on takes
 * it out. */
static int on_socket(CURL *easy, curl_socket_t s, int what, void *userp, void *socketp) {
  poller *p = userp;
  (void)easy;
  (void)socketp;
  if (!is_ours(p, s)) {
    if (what == CURL_POLL_REMOVE)
      epoll_ctl(p->epoll, EPOLL_CTL_DEL, s, NULL); /* it may never have been added: no matter */
    else
      set_events(p, s, what, false);
  } else if (what == CURL_POLL_REMOVE) {
    p->sockets[s] |= SOCKET_IDLE;
  } else {
    int registered = p->sockets[s] & SOCKET_EVENTS;
    if (registered != what)
      set_events(p, s, what, registered != 0);
    p->sockets[s] = (unsigned char)(SOCKET_OURS | what);
  }
  return 0;
}

static CURLMcode act_on(poller *p, CURLM *multi, const struct epoll_event *event) {
  curl_socket_t s = event->data.fd;
  int running;
  if (s == p->timer) {
    p->armed = NAN; /* it fired: whatever it is set to next makes it unreadable */
  } else if (is_ours(p, s) && (p->sockets[s] & SOCKET_IDLE) != 0) {
    epoll_ctl(p->epoll, EPOLL_CTL_DEL, s, NULL);
    p->sockets[s] = SOCKET_OURS | SOCKET_IDLE;
  } else {
    int mask = ((event->events & EPOLLIN) ? CURL_CSELECT_IN : 0) |
               ((event->events & EPOLLOUT) ? CURL_CSELECT_OUT : 0) |
               ((event->events & (EPOLLERR | EPOLLHUP)) ? CURL_CSELECT_ERR : 0);
    return curl_multi_socket_action(multi, s, mask, &running);
  }
  return CURLM_OK;
}

CURLMcode poller_wait(poller *p, CURLM *multi, double timeout) {
  struct epoll_event events[EVENTS_PER_WAIT];
  CURLMcode code = CURLM_OK;
  int count = epoll_wait(p->epoll, events, EVENTS_PER_WAIT, wait_ms(timeout));
  double until = count > 1 ? poller_now() + LONGEST_WORK : INFINITY;
  int first = count > 0 ? p->first_event % count : 0;
  int done = 0;
  while (done < count && code == CURLM_OK && (done == 0 || poller_now() < until))
    code = act_on(p, multi, &events[(first + done++) % count]);
  /* The kernel tells of those that stay readable in the same order again: go on behind those
   * that had their turn. */
  p->first_event = done < count ? first + done : 0;
  return code;
}

CURLMcode poller_run_due(poller *p, CURLM *multi) {
  int running;
  if (isinf(p->due) || p->due > poller_now())
    return CURLM_OK;
  p->due = INFINITY; /* libcurl names the next one while it acts */
  return curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running);
}

void poller_arm(poller *p, double due) {
  struct itimerspec at = {0};
  if (!p->shared || p->timer < 0 || due >= p->armed)
    return; /* set too early, it is set again when it fires: rarer than setting it each time */
  if (due < 1e12) { /* later than that is never, and time_t may not hold it */
    double whole = floor(due);
    at.it_value.tv_sec = (time_t)whole;
    at.it_value.tv_nsec = (long)((due - whole) * 1e9);
    if (at.it_value.tv_sec <= 0 && at.it_value.tv_nsec <= 0)
      at.it_value.tv_nsec = 1; /* zero would disarm it */
  }
  if (timerfd_settime(p->timer, TFD_TIMER_ABSTIME, &at, NULL) == 0)
    p->armed = due;
}

bool poller_open(poller *p) {
  struct epoll_event event = {0};
  poller_init(p);
  p->epoll = epoll_create1(EPOLL_CLOEXEC);
  p->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  event.events = EPOLLIN;
  event.data.fd = p->timer;
  if (p->epoll >= 0 && p->timer >= 0 && epoll_ctl(p->epoll, EPOLL_CTL_ADD, p->timer, &event) == 0)
    return true;
  poller_close(p);
  return false;
}

void poller_close(poller *p) {
  if (p->timer >= 0)
    close(p->timer);
  if (p->epoll >= 0)
    close(p->epoll);
  free(p->sockets);
  poller_init(p);
}

void poller_close_sockets(poller *p) {
  for (size_t s = 0; s < p->socket_count; s++)
    if ((p->sockets[s] & SOCKET_OURS) != 0)
      close((int)s);
}

bool poller_attach_multi(poller *p, CURLM *multi) {
  return curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket) == CURLM_OK &&
         curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, p) == CURLM_OK &&
         curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer) == CURLM_OK &&
         curl_multi_setopt(multi, CURLMOPT_TIMERDATA, p) == CURLM_OK;
}

bool poller_attach_easy(poller *p, CURL *easy) {
  return curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, p) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close_socket) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, p) == CURLE_OK;
}

#else /* no epoll: libcurl waits by itself, hosts step the engine on a timer */

CURLMcode poller_wait(poller *p, CURLM *multi, double timeout) {
  int running;
  (void)p;
  curl_multi_poll(multi, NULL, 0, wait_ms(isinf(timeout) ? 1 : timeout), NULL);
  return curl_multi_perform(multi, &running);
}

CURLMcode poller_run_due(poller *p, CURLM *multi) {
  int running;
  if (isinf(p->due) || p->due > poller_now())
    return CURLM_OK;
  p->due = INFINITY;
  return curl_multi_perform(multi, &running);
}

void poller_arm(poller *p, double due) {
  (void)p;
  (void)due;
}

bool poller_open(poller *p) {
  poller_init(p);
  return true;
}

void poller_close(poller *p) {
  (void)p;
}

void poller_close_sockets(poller *p) {
  (void)p;
}

bool poller_attach_multi(poller *p, CURLM *multi) {
  return curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer) == CURLM_OK &&
         curl_multi_setopt(multi, CURLMOPT_TIMERDATA, p) == CURLM_OK;
}

bool poller_attach_easy(poller *p, CURL *easy) {
  (void)p;
  (void)easy;
  return true;
}

#endif
