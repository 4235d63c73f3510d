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
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/types.h>
#endif

double poller_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Rounded up, so that no wait ends just before what it waits for, and spins. */
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
  *p = (poller){.epoll = -1, .timer = -1, .due = INFINITY, .armed = INFINITY, .looked = -INFINITY};
}

#if AITOEARN_EPOLL

/* A handful, and no longer than that in seconds: each TLS handshake behind an event costs a
 * millisecond. What is left out is reported again by the next wait. */
#define EVENTS_PER_WAIT 8
#define LONGEST_WORK 0.001

/* How many events one look at the idle connections takes, and for how many seconds what it found
 * counts. */
#define EVENTS_PER_LOOK 64
#define LOOK_HOLDS 0.001

/* How many numbers above the first of a socket pair the second is looked for. */
#define PAIR_DISTANCE 64

/* -- the table of sockets ---------------------------------------------------------------------- */

enum {
  SOCKET_OURS = 1, /* opened by on_open_socket, which noted device and inode */
  SOCKET_IDLE = 2, /* libcurl waits for nothing on it, and keeps it for a later request */
  SOCKET_SETTLED =
      4, /* has been idle: its connection is up, libcurl will report when it closes it */
  SOCKET_SUSPECT = 8,
};

/* What is known of a descriptor. libcurl 7.88 closes the sockets of attempts to connect without a
 * word, and the program may close any: so a mark counts only for the file that it was made for. */
struct socket_entry {
  unsigned char flags;
  unsigned char wanted; /* CURL_POLL_IN and CURL_POLL_OUT: what libcurl has asked for */
  unsigned char registered; /* the same: what the epoll set has it for */
  dev_t device;
  ino_t inode;
  socket_group *group;
};

static socket_entry *entry_of(const poller *p, curl_socket_t s) {
  return (size_t)s < p->socket_count ? &p->sockets[s] : NULL;
}

static bool grow_sockets(poller *p, curl_socket_t s) {
  size_t count = p->socket_count > 0 ? p->socket_count : 64;
  while (count <= (size_t)s)
    count *= 2;
  if (count == p->socket_count)
    return true;
  socket_entry *sockets = realloc(p->sockets, count * sizeof *sockets);
  if (sockets == NULL)
    return false;
  memset(sockets + p->socket_count, 0, (count - p->socket_count) * sizeof *sockets);
  p->sockets = sockets;
  p->socket_count = count;
  return true;
}

static bool is_ours(const socket_entry *entry) {
  return entry != NULL && (entry->flags & SOCKET_OURS) != 0;
}

static bool is_same_file(const socket_entry *entry, curl_socket_t s) {
  struct stat file;
  return fstat(s, &file) == 0 && file.st_dev == entry->device && file.st_ino == entry->inode;
}

static void set_idle(poller *p, socket_entry *entry, bool idle) {
  bool was = (entry->flags & SOCKET_IDLE) != 0;
  if (was == idle)
    return;
  entry->flags ^= SOCKET_IDLE;
  p->idle_sockets += idle ? 1 : -1;
}

static void set_suspect(socket_entry *entry, bool suspect) {
  bool was = (entry->flags & SOCKET_SUSPECT) != 0;
  if (was == suspect)
    return;
  entry->flags ^= SOCKET_SUSPECT;
  entry->group->suspects += suspect ? 1 : -1;
}

/* The file is gone. What libcurl wants of the number stays: it may take the next one for
 * registered. */
static void forget(poller *p, socket_entry *entry) {
  if (!is_ours(entry))
    return;
  set_idle(p, entry, false);
  set_suspect(entry, false);
  p->open_sockets--;
  *entry = (socket_entry){.wanted = entry->wanted};
}

/* -- the epoll set ----------------------------------------------------------------------------- */

/* While a socket connects its events come once each: should libcurl close it without a word while a
 * forked child has a copy, nothing could take it out of the epoll set. */
static struct epoll_event event_for(curl_socket_t s, int what, bool once) {
  struct epoll_event event = {0};
  event.events = ((what & CURL_POLL_IN) ? EPOLLIN : 0u) | ((what & CURL_POLL_OUT) ? EPOLLOUT : 0u) |
                 (once ? EPOLLONESHOT : 0u);
  event.data.fd = s;
  return event;
}

/* MOD and ADD in whichever order is likelier to be right at once: what libcurl opened and closed
 * by itself (its resolver's socket pair) is not known here. */
static void set_events(const poller *p, curl_socket_t s, struct epoll_event event,
                       bool registered) {
  int first = registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  int second = registered ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  if (epoll_ctl(p->epoll, first, s, &event) != 0)
    epoll_ctl(p->epoll, second, s, &event);
}

static void register_ours(const poller *p, socket_entry *entry, curl_socket_t s, int what) {
  bool once = (entry->flags & SOCKET_SETTLED) == 0;
  set_events(p, s, event_for(s, what, once), entry->registered != 0);
  entry->registered = (unsigned char)what;
}

static void deregister(const poller *p, socket_entry *entry, curl_socket_t s) {
  if (entry->registered != 0)
    epoll_ctl(p->epoll, EPOLL_CTL_DEL, s, NULL);
  entry->registered = 0;
}

/* Ends a connection, and drops what the server sent unasked, so that libcurl takes it for dead. */
static void end_connection(const poller *p, socket_entry *entry, curl_socket_t s) {
  char unasked[4096];
  if (!is_same_file(entry, s))
    return;
  shutdown(s, SHUT_RDWR);
  while (recv(s, unasked, sizeof unasked, MSG_DONTWAIT) > 0)
    ;
  if ((entry->flags & SOCKET_IDLE) == 0)
    return;
  deregister(p, entry, s);
  set_suspect(entry, false); /* the next request finds it dead */
}

/* -- libcurl's callbacks ----------------------------------------------------------------------- */

static curl_socket_t on_open_socket(void *userp, curlsocktype purpose,
                                    struct curl_sockaddr *address) {
  socket_group *group = userp;
  poller *p = group->poller;
  struct stat file;
  (void)purpose;
  curl_socket_t s = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  if (s == CURL_SOCKET_BAD)
    return s;
  /* Detect a dead path: an HTTP/2 stream's time-out does not close the connection, so every later
   * request would be lost on it too. */
  if (p->tcp_user_timeout_ms > 0)
    setsockopt(s, IPPROTO_TCP, TCP_USER_TIMEOUT, &p->tcp_user_timeout_ms,
               sizeof p->tcp_user_timeout_ms);
  if (!grow_sockets(p, s) || fstat(s, &file) != 0) {
    close(s);
    return CURL_SOCKET_BAD;
  }
  socket_entry *entry = entry_of(p, s);
  forget(p, entry);
  entry->flags = SOCKET_OURS;
  entry->registered = 0;
  entry->device = file.st_dev;
  entry->inode = file.st_ino;
  entry->group = group;
  p->open_sockets++;
  if (entry->wanted != 0) /* libcurl closed the last one with this number without a word */
    register_ours(p, entry, s, entry->wanted);
  return s;
}

static int on_close_socket(void *userp, curl_socket_t s) {
  const socket_group *group = userp;
  poller *p = group->poller;
  socket_entry *entry = entry_of(p, s);
  if (!is_ours(entry))
    return 0;
  bool same = is_same_file(entry, s);
  if (same) /* close would leave it in the epoll set while a forked child has a copy */
    epoll_ctl(p->epoll, EPOLL_CTL_DEL, s, NULL);
  forget(p, entry);
  entry->wanted = 0;
  return same ? close(s) : 0;
}

static void close_on_exec(int descriptor) {
  fcntl(descriptor, F_SETFD, FD_CLOEXEC);
}

static bool is_unix_socket(int descriptor, struct stat *file) {
  int domain = 0;
  socklen_t size = sizeof domain;
  return fstat(descriptor, file) == 0 && S_ISSOCK(file->st_mode) &&
         getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX;
}

/* libcurl's own socket pairs, which older versions let every child process inherit. The kernel
 * numbers the inodes of a pair one after the other. */
static void close_pair_on_exec(int first) {
  struct stat one, other;
  if (!is_unix_socket(first, &one))
    return;
  close_on_exec(first);
  for (int second = first + 1; second < first + PAIR_DISTANCE; second++)
    if (is_unix_socket(second, &other) && other.st_ino == one.st_ino + 1) {
      close_on_exec(second);
      return;
    }
}

/* Whether the mark is of the file that now has the number; a settled connection's is closed by
 * on_close_socket alone. */
static bool is_still_ours(poller *p, socket_entry *entry, curl_socket_t s) {
  if (!is_ours(entry))
    return false;
  if ((entry->flags & SOCKET_SETTLED) != 0 || is_same_file(entry, s))
    return true;
  forget(p, entry);
  return false;
}

/* A kept-alive connection stays registered between its requests: that saves two system calls each,
 * and shows when its server speaks unasked. */
static void become_idle(poller *p, socket_entry *entry, curl_socket_t s) {
  bool settled = (entry->flags & SOCKET_SETTLED) != 0;
  entry->flags |= SOCKET_SETTLED;
  set_idle(p, entry, true);
  p->looked = -INFINITY;
  if ((entry->flags & SOCKET_SUSPECT) != 0)
    end_connection(p, entry, s);
  else if (!settled || entry->registered != CURL_POLL_IN)
    register_ours(p, entry, s, CURL_POLL_IN);
}

static int on_socket(CURL *easy, curl_socket_t s, int what, void *userp, void *socketp) {
  poller *p = userp;
  socket_entry *entry = entry_of(p, s);
  (void)easy;
  (void)socketp;
  bool marked = is_ours(entry);
  bool ours = is_still_ours(p, entry, s);
  if (what == CURL_POLL_REMOVE) {
    p->gave_up = p->gave_up || (marked && !ours);
    if (ours)
      become_idle(p, entry, s);
    else
      epoll_ctl(p->epoll, EPOLL_CTL_DEL, s, NULL); /* it may never have been added: no matter */
  } else if (ours) {
    set_idle(p, entry, false);
    if (entry->registered != what)
      register_ours(p, entry, s, what);
  } else {
    close_pair_on_exec(s);
    set_events(p, s, event_for(s, what, false), false);
  }
  if (entry != NULL)
    entry->wanted = what == CURL_POLL_REMOVE ? 0 : (unsigned char)what;
  return 0;
}

/* -- events ------------------------------------------------------------------------------------ */

/* On HTTP/1.1 the bytes would pass for the answer to the next request. HTTP/2 knows whose they are:
 * libcurl reads them when it wants the connection again. */
static void wake_idle(poller *p, socket_entry *entry, curl_socket_t s) {
  if (entry->group->http2)
    deregister(p, entry, s);
  else
    end_connection(p, entry, s);
}

/* After an event that came once: the next may come. */
static void rearm(poller *p, curl_socket_t s) {
  socket_entry *entry = entry_of(p, s);
  if (is_ours(entry) && (entry->flags & SOCKET_SETTLED) == 0 && entry->registered != 0 &&
      is_still_ours(p, entry, s))
    register_ours(p, entry, s, entry->registered);
}

static CURLMcode act_on(poller *p, CURLM *multi, const struct epoll_event *event) {
  curl_socket_t s = event->data.fd;
  int running;
  if (s == p->timer) {
    p->armed = NAN; /* it fired: whatever it is set to next makes it unreadable */
    return CURLM_OK;
  }
  socket_entry *entry = entry_of(p, s);
  bool ours = is_still_ours(p, entry, s);
  if (ours && (entry->flags & SOCKET_IDLE) != 0) {
    wake_idle(p, entry, s);
    return CURLM_OK;
  }
  if (ours && (event->events & EPOLLIN) != 0)
    set_suspect(entry, false);
  int mask = ((event->events & EPOLLIN) ? CURL_CSELECT_IN : 0) |
             ((event->events & EPOLLOUT) ? CURL_CSELECT_OUT : 0) |
             ((event->events & (EPOLLERR | EPOLLHUP)) ? CURL_CSELECT_ERR : 0);
  CURLMcode code = curl_multi_socket_action(multi, s, mask, &running);
  rearm(p, s);
  return code;
}

/* Ends the idle connections on which a server has spoken since the last wait. One look at the epoll
 * set for all of them: a call for each would cost a program with 64 more than the request. What else
 * is ready the next wait reports again; the set goes round, so that the looks see each once. */
static void end_spoken_on(poller *p) {
  struct epoll_event events[EVENTS_PER_LOOK];
  int count = EVENTS_PER_LOOK;
  for (int left = p->open_sockets; p->idle_sockets > 0 && left >= 0 && count == EVENTS_PER_LOOK;
       left -= count) {
    count = epoll_wait(p->epoll, events, EVENTS_PER_LOOK, 0);
    for (int i = 0; i < count; i++) {
      curl_socket_t s = events[i].data.fd;
      socket_entry *entry = entry_of(p, s);
      if (is_ours(entry) && (entry->flags & SOCKET_IDLE) != 0 && !entry->group->http2)
        end_connection(p, entry, s);
      else
        rearm(p, s);
    }
  }
}

/* -- suspects ---------------------------------------------------------------------------------- */

static long local_port_of(curl_socket_t s) {
  union {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
  } address = {{0}};
  socklen_t size = sizeof address;
  if (getsockname(s, &address.any, &size) != 0)
    return -1;
  if (address.any.sa_family == AF_INET)
    return ntohs(address.in.sin_port);
  return address.any.sa_family == AF_INET6 ? ntohs(address.in6.sin6_port) : -1;
}

static bool was_silent(curl_socket_t s, double seconds) {
  struct tcp_info info;
  socklen_t size = sizeof info;
  return getsockopt(s, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
         (double)info.tcpi_last_data_recv >= seconds * 1e3 - 10;
}

void poller_suspect(socket_group *group, long local_port, double seconds, bool is_new) {
  poller *p = group->poller;
  for (size_t i = 0; i < p->socket_count; i++) {
    socket_entry *entry = &p->sockets[i];
    curl_socket_t s = (curl_socket_t)i;
    if (entry->group != group || !is_ours(entry) || local_port_of(s) != local_port ||
        !is_same_file(entry, s) || !(is_new || was_silent(s, seconds)))
      continue;
    set_suspect(entry, true);
    if ((entry->flags & SOCKET_IDLE) != 0)
      end_connection(p, entry, s);
  }
}

void poller_end_suspects(socket_group *group) {
  poller *p = group->poller;
  for (size_t s = 0; s < p->socket_count && group->suspects > 0; s++)
    if (p->sockets[s].group == group && (p->sockets[s].flags & SOCKET_SUSPECT) != 0) {
      end_connection(p, &p->sockets[s], (curl_socket_t)s);
      set_suspect(&p->sockets[s], false);
    }
}

/* -- waiting ----------------------------------------------------------------------------------- */

/* Deprecated, because it is slow; nothing else makes libcurl look at a transfer without socket or
 * time-out. */
static CURLMcode socket_all(CURLM *multi, int *running) {
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
#endif
  return curl_multi_socket_all(multi, running);
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif
}

/* When an address does not answer, libcurl 7.88 closes its socket and waits for the connect
 * time-out before it tries the next one, unless it is made to look at all transfers. */
static CURLMcode go_on(poller *p, CURLM *multi, CURLMcode code) {
  int running;
  while (p->gave_up && code == CURLM_OK) {
    p->gave_up = false;
    code = socket_all(multi, &running);
  }
  return code;
}

CURLMcode poller_wait(poller *p, CURLM *multi, double timeout) {
  struct epoll_event events[EVENTS_PER_WAIT];
  CURLMcode code = CURLM_OK;
  int count = epoll_wait(p->epoll, events, EVENTS_PER_WAIT, wait_ms(timeout));
  if (count < 0 && errno != EINTR)
    p->lost = true;
  double until = count > 1 ? poller_now() + LONGEST_WORK : INFINITY;
  int first = count > 0 ? p->first_event % count : 0;
  int done = 0;
  while (done < count && code == CURLM_OK && (done == 0 || poller_now() < until))
    code = act_on(p, multi, &events[(first + done++) % count]);
  for (int i = done; i < count; i++)
    rearm(p, events[(first + i) % count].data.fd);
  /* epoll reports sockets that stay readable in the same order: start after those already
   * served. */
  p->first_event = done < count ? first + done : 0;
  return go_on(p, multi, code);
}

CURLMcode poller_run_due(poller *p, CURLM *multi) {
  int running;
  if (isinf(p->due))
    return CURLM_OK;
  double now = poller_now();
  if (p->due > now)
    return CURLM_OK;
  if (now - p->looked > LOOK_HOLDS) { /* what is started now takes an idle connection */
    end_spoken_on(p);
    p->looked = now;
  }
  p->due = INFINITY; /* libcurl names the next one while it acts */
  return go_on(p, multi, curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running));
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

bool poller_is_intact(const poller *p) {
  struct epoll_event event = event_for(p->timer, CURL_POLL_IN, false);
  return !p->lost && epoll_ctl(p->epoll, EPOLL_CTL_MOD, p->timer, &event) == 0;
}

void poller_close(poller *p) {
  bool ours = p->timer < 0 || poller_is_intact(p);
  if (ours && p->timer >= 0)
    close(p->timer);
  if (ours && p->epoll >= 0)
    close(p->epoll);
  free(p->sockets);
  poller_init(p);
}

void poller_close_sockets(poller *p) {
  for (size_t s = 0; s < p->socket_count; s++)
    if (is_ours(&p->sockets[s])) {
      if (is_same_file(&p->sockets[s], (curl_socket_t)s))
        close((int)s);
      forget(p, &p->sockets[s]);
    }
}

static bool attach_multi(poller *p, CURLM *multi) {
  return curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket) == CURLM_OK &&
         curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, p) == CURLM_OK &&
         curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer) == CURLM_OK &&
         curl_multi_setopt(multi, CURLMOPT_TIMERDATA, p) == CURLM_OK;
}

/* The pair with which curl_multi_wakeup wakes gets the lowest free numbers. */
CURLM *poller_new_multi(poller *p) {
  int lowest = fcntl(p->epoll, F_DUPFD_CLOEXEC, 0);
  if (lowest >= 0)
    close(lowest);
  CURLM *multi = curl_multi_init();
  if (multi == NULL)
    return NULL;
  if (lowest >= 0)
    close_pair_on_exec(lowest);
  if (attach_multi(p, multi))
    return multi;
  curl_multi_cleanup(multi);
  return NULL;
}

bool poller_attach_easy(socket_group *group, CURL *easy) {
  return curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, group) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close_socket) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, group) == CURLE_OK;
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

CURLM *poller_new_multi(poller *p) {
  CURLM *multi = curl_multi_init();
  if (multi == NULL)
    return NULL;
  if (curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer) == CURLM_OK &&
      curl_multi_setopt(multi, CURLMOPT_TIMERDATA, p) == CURLM_OK)
    return multi;
  curl_multi_cleanup(multi);
  return NULL;
}

bool poller_is_intact(const poller *p) {
  (void)p;
  return true;
}

bool poller_attach_easy(socket_group *group, CURL *easy) {
  (void)group;
  (void)easy;
  return true;
}

void poller_suspect(socket_group *group, long local_port, double seconds, bool is_new) {
  (void)group;
  (void)local_port;
  (void)seconds;
  (void)is_new;
}

void poller_end_suspects(socket_group *group) {
  (void)group;
}

#endif
