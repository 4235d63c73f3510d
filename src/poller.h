/* poller.h: what libcurl waits for, its sockets and its next time-out, behind one descriptor.
 *
 * A poller is a private epoll set with libcurl's sockets and a timerfd in it, so that a host has
 * one descriptor to watch: it is readable exactly when there is work. The engine embeds one
 * poller and is its only user. Without epoll the descriptor is -1 and waiting is
 * curl_multi_poll's. */
#ifndef AITOEARN_POLLER_H
#define AITOEARN_POLLER_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>

#include "hidden.h"

HIDDEN_BEGIN

#if defined(__linux__) && !defined(AITOEARN_NO_EPOLL)
#define AITOEARN_EPOLL 1
#else
#define AITOEARN_EPOLL 0
#endif

typedef struct socket_entry socket_entry;

typedef struct {
  int epoll;
  int timer;
  double due; /* when libcurl wants its next time-out; INFINITY: not at all */
  double armed; /* what the timerfd is set to */
  double
      looked; /* when idle connections were last looked at; −INFINITY: one has become idle since */
  int tcp_user_timeout_ms; /* TCP_USER_TIMEOUT of every socket; 0: the system's limit */
  int open_sockets; /* how many are ours */
  int idle_sockets; /* of these, how many libcurl keeps for a later request */
  int first_event; /* which of the next wait's events comes first */
  bool shared; /* a host watches the descriptor: keep the timerfd armed */
  bool gave_up; /* libcurl closed a connecting socket: it may have forgotten to go on */
  bool lost; /* the descriptors were closed behind our back */
  socket_entry *sockets; /* by descriptor */
  size_t socket_count;
} poller;

/* The sockets that lead to one origin. It outlives the multi: libcurl keeps a pointer to it. */
typedef struct {
  poller *poller;
  bool http2; /* what its last answer came by: then a server may speak on an idle connection */
  int suspects; /* open connections that no new request should use */
} socket_group;

/* Seconds on the monotonic clock. */
double poller_now(void);

/* Makes a closed one. */
void poller_init(poller *p);

/* False, with everything closed again, if the system has no descriptors left. */
bool poller_open(poller *p);

/* Whether the descriptors are still those that poller_open made. A program that becomes a daemon
 * closes all it finds, and opens its own files under the same numbers. */
bool poller_is_intact(const poller *p);

/* Closes the descriptors and frees the table; call it after curl_multi_cleanup, which may still
 * close sockets. In a forked child poller_close_sockets closes the copies of libcurl's sockets. */
void poller_close(poller *p);
void poller_close_sockets(poller *p);

/* A multi that keeps `p` up to date; NULL if memory runs out. */
CURLM *poller_new_multi(poller *p);

/* Lets the sockets that an easy handle opens belong to the group. */
bool poller_attach_easy(socket_group *group, CURL *easy);

/* A request over the connection with that local port got no answer within `seconds`. If nothing at
 * all came over it in that time (or if it `is_new`: nothing but greetings), the process behind it
 * hangs: it becomes a suspect, and is shut down as soon as no transfer uses it. */
void poller_suspect(socket_group *group, long local_port, double seconds, bool is_new);

/* Shuts all of the group's suspects down, in use or not. */
void poller_end_suspects(socket_group *group);

/* Waits up to `timeout` seconds (INFINITY: until something happens or a signal comes) and lets
 * libcurl do what there is to do, a handful of sockets at a time so that a poll is never
 * held up long. */
CURLMcode poller_wait(poller *p, CURLM *multi, double timeout);

/* Lets libcurl act on a time-out that has come. After a failure of either, libcurl may have lost
 * sight of any transfer. */
CURLMcode poller_run_due(poller *p, CURLM *multi);

/* Sets the timerfd to `due`, if a host watches the descriptor. */
void poller_arm(poller *p, double due);

HIDDEN_END

#endif
