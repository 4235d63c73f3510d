/* handle.c: options as a table; the callbacks touch C memory alone and call no Lua. */
#include "handle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* libcurl 7.88 does not ask for the rest of HTTP/2 headers that are longer than its buffer, so
 * there has to be room for more than we accept. */
#define MAX_HEADER_BYTES ((size_t)32 * 1024)
#define READ_BUFFER_BYTES (40L * 1024)

/* A compressed body may take this many times max_response_bytes on the wire. */
#define WIRE_FACTOR 8.0

/* Larger than any header line that libcurl keeps. */
#define PROBE_BYTES ((size_t)256 * 1024)

static const char long_headers[] = "the answer's headers are longer than 32 KiB";

/* -- what libcurl reports ---------------------------------------------------------------------- */

static bool reserve_body(handle *h, size_t length) {
  size_t capacity = h->body_capacity > 0 ? h->body_capacity : 4096;
  while (capacity < length)
    capacity *= 2;
  if (capacity == h->body_capacity)
    return true;
  char *body = realloc(h->body, capacity);
  if (body == NULL)
    return false;
  h->body = body;
  h->body_capacity = capacity;
  return true;
}

/* Gets the body after decompression, so that the limit holds for what an answer inflates to. */
static size_t on_body(char *bytes, size_t size, size_t count, void *userp) {
  handle *h = userp;
  size_t length = size * count;
  if (length > h->transfer->max_bytes - h->body_length) {
    h->broken_limit = "the answer is longer than max_response_bytes";
    return 0;
  }
  if (!reserve_body(h, h->body_length + length)) {
    h->broken_limit = "out of memory";
    return 0;
  }
  memcpy(h->body + h->body_length, bytes, length);
  h->body_length += length;
  return length;
}

/* Called once an answer turned out to be compressed: what inflates to nothing never gets to
 * on_body. */
static int on_progress(void *userp, curl_off_t total, curl_off_t received, curl_off_t to_send,
                       curl_off_t sent) {
  handle *h = userp;
  (void)total;
  (void)to_send;
  (void)sent;
  if ((double)received <= WIRE_FACTOR * (double)h->transfer->max_bytes)
    return 0;
  h->broken_limit = "the compressed answer is longer than eight times max_response_bytes";
  return 1;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *userp) {
  handle *h = userp;
  answer_headers *headers = &h->transfer->headers;
  size_t length = size * count;
  headers_read_line(headers, bytes, length);
  if (headers->complete && headers->encoded)
    curl_easy_setopt(h->easy, CURLOPT_NOPROGRESS, 0L);
  if (headers->bytes <= MAX_HEADER_BYTES)
    return length;
  h->broken_limit = long_headers;
  return 0;
}

static void stop_waiting(handle *h) {
  if (h->waiting != NULL)
    --*h->waiting;
  h->waiting = NULL;
}

/* libcurl has a connection, or a stream of one, for the request. */
#if LIBCURL_VERSION_NUM >= 0x075000
/* NOLINTNEXTLINE(readability-non-const-parameter): libcurl's signature */
static int on_granted(void *userp, char *server, char *local, int server_port, int local_port) {
  handle *h = userp;
  (void)server;
  (void)local;
  (void)server_port;
  (void)local_port;
  h->granted = poller_now();
  stop_waiting(h);
  return CURL_PREREQFUNC_OK;
}
#endif

/* -- options ----------------------------------------------------------------------------------- */

static const struct {
  CURLoption option;
  long value;
} constant_options[] = {
    {CURLOPT_NOSIGNAL, 1},
    {CURLOPT_FOLLOWLOCATION, 0}, /* a redirect must not carry the key to another host */
    {CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2},
    {CURLOPT_SSL_VERIFYPEER, 1},
    {CURLOPT_SSL_VERIFYHOST, 2},
    {CURLOPT_PATH_AS_IS, 1}, /* the record id is one segment, whatever it looks like */
    {CURLOPT_TCP_KEEPALIVE, 1},
    {CURLOPT_BUFFERSIZE, READ_BUFFER_BYTES},
    {CURLOPT_HEADEROPT, CURLHEADER_SEPARATE}, /* keep the key out of a proxy's CONNECT */
    {CURLOPT_SUPPRESS_CONNECT_HEADERS, 1},
#if LIBCURL_VERSION_NUM >= 0x075700
    {CURLOPT_QUICK_EXIT, 1}, /* do not join a resolver thread at cancel */
#endif
#if LIBCURL_VERSION_NUM < 0x075500
    {CURLOPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS},
#endif
};

static bool set_constant_options(CURL *easy) {
  for (size_t i = 0; i < sizeof constant_options / sizeof constant_options[0]; i++)
    if (curl_easy_setopt(easy, constant_options[i].option, constant_options[i].value) != CURLE_OK)
      return false;
#if LIBCURL_VERSION_NUM >= 0x075500
  if (curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") != CURLE_OK)
    return false;
#endif
  return curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip") ==
         CURLE_OK; /* any value makes libcurl decode; a header line says what it can */
}

/* While a CApath is set, libcurl reads the CA file again for every connection (20 ms): use the
 * file alone if there is one. */
static bool set_ca(CURL *easy, const char *ca_file) {
  if (ca_file != NULL)
    return curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK;
#if LIBCURL_VERSION_NUM >= 0x075400
  char *builtin = NULL;
  if (curl_easy_getinfo(easy, CURLINFO_CAINFO, &builtin) == CURLE_OK && builtin != NULL)
    return curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK;
#endif
  return true;
}

/* Plain http that must not leave this machine goes to no proxy either; NULL: the environment's. */
static const char *proxy_for(const transfer_options *options, bool is_https) {
  return options->proxy == NULL && options->is_http_local && !is_https ? "" : options->proxy;
}

static bool set_client_certificate(CURL *easy, const origin_options *origin) {
  return origin->cert_file == NULL ||
         (curl_easy_setopt(easy, CURLOPT_SSLCERT, origin->cert_file) == CURLE_OK &&
          curl_easy_setopt(easy, CURLOPT_SSLKEY, origin->key_file) == CURLE_OK);
}

static bool set_engine_options(CURL *easy, const handle_setup *setup, bool is_https) {
  const transfer_options *options = setup->options;
  long version = options->is_http1_only ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2TLS;
  return curl_easy_setopt(easy, CURLOPT_SHARE, setup->share) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, version) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, options->connect_timeout_ms) ==
             CURLE_OK &&
         (!is_https ||
          (set_ca(easy, options->ca_file) && set_client_certificate(easy, setup->origin))) &&
         curl_easy_setopt(easy, CURLOPT_PROXY, proxy_for(options, is_https)) == CURLE_OK &&
         (options->is_without_proxy
              ? curl_easy_setopt(easy, CURLOPT_NOPROXY, "*") == CURLE_OK
              : curl_easy_setopt(easy, CURLOPT_USERAGENT, options->user_agent) == CURLE_OK) &&
         (!setup->looks_up || curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L) == CURLE_OK);
}

static bool set_granted_callback(handle *h, long *waiting) {
#if LIBCURL_VERSION_NUM >= 0x075000
  h->waiting = waiting;
  ++*waiting;
  return curl_easy_setopt(h->easy, CURLOPT_PREREQFUNCTION, on_granted) == CURLE_OK &&
         curl_easy_setopt(h->easy, CURLOPT_PREREQDATA, h) == CURLE_OK;
#else
  (void)h;
  (void)waiting;
  return true;
#endif
}

static bool set_callbacks(handle *h) {
  CURL *easy = h->easy;
  return curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, h->detail) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_PRIVATE, h) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_WRITEDATA, h) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_HEADERDATA, h) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_XFERINFODATA, h) == CURLE_OK;
}

static long timeout_ms(double seconds) {
  if (isinf(seconds))
    return 0; /* libcurl's "none" */
  double ms = ceil(seconds * 1e3);
  return ms >= 2147483647.0 ? 2147483647L : ms < 1 ? 1 : (long)ms;
}

static bool set_body(CURL *easy, const transfer *t) {
  const char *body = t->body != NULL ? t->body : "";
  return curl_easy_setopt(easy, CURLOPT_POST, 1L) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->body_length) ==
             CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body) == CURLE_OK;
}

/* libcurl repeats a request by itself if a connection that was used before closes without an
 * answer. So what may change something goes over a new one. */
static bool set_method(CURL *easy, const transfer *t) {
  if (t->method == NULL)
    return !t->is_fresh || curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L) == CURLE_OK;
  bool has_body = t->body != NULL || strcmp(t->method, "DELETE") != 0;
  return (!has_body || set_body(easy, t)) &&
         curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, t->method) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L) == CURLE_OK;
}

/* If libcurl has to parse the URL, it also prints a normalized copy, byte by byte. One that cannot be
 * parsed here is left to libcurl, which says why. */
static bool set_url(handle *h, const char *url) {
  h->url = curl_url();
  return h->url != NULL && curl_easy_setopt(h->easy, CURLOPT_URL, url) == CURLE_OK &&
         (curl_url_set(h->url, CURLUPART_URL, url, CURLU_PATH_AS_IS) != CURLUE_OK ||
          curl_easy_setopt(h->easy, CURLOPT_CURLU, h->url) == CURLE_OK);
}

static bool set_request(handle *h, const transfer *t, double timeout) {
  CURL *easy = h->easy;
  /* On plain http PIPEWAIT would hold every transfer until the first answer. */
  return (!t->is_https || curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L) == CURLE_OK) &&
         set_method(easy, t) && set_url(h, t->url) &&
         curl_easy_setopt(easy, CURLOPT_HTTPHEADER, t->header_lines) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms(timeout)) == CURLE_OK;
}

/* Its own header lines are those that have a text. */
static void link_header_lines(transfer *t, struct curl_slist *others) {
  size_t count = sizeof t->header_lines / sizeof t->header_lines[0];
  for (size_t i = 0; i < count; i++)
    t->header_lines[i].next =
        i + 1 < count && t->header_lines[i + 1].data != NULL ? &t->header_lines[i + 1] : others;
}

/* -- its life ---------------------------------------------------------------------------------- */

handle *handle_new(const handle_setup *setup, transfer *t) {
  handle *h = calloc(1, sizeof *h);
  if (h == NULL)
    return NULL;
  h->transfer = t;
  h->granted = NAN;
  link_header_lines(t, setup->origin->header_lines);
  h->easy = curl_easy_init();
  if (h->easy != NULL && set_constant_options(h->easy) &&
      set_engine_options(h->easy, setup, t->is_https) && set_callbacks(h) &&
      (!t->is_https || set_granted_callback(h, setup->waiting)) &&
      set_request(h, t, setup->timeout) && poller_attach_easy(setup->sockets, h->easy))
    return h;
  handle_free(h);
  return NULL;
}

void handle_note_sent(handle *h) {
  curl_off_t pretransfer = 0;
  curl_easy_getinfo(h->easy, CURLINFO_PRETRANSFER_TIME_T, &pretransfer);
  h->transfer->is_sent = pretransfer > 0;
  if (isnan(h->granted) && h->transfer->is_sent)
    h->granted = h->transfer->started; /* before 7.80 libcurl does not report it */
}

/* libcurl says "out of memory" of a header line that is longer than 100 kB as well. */
static bool is_memory_left(void) {
  void *probe = malloc(PROBE_BYTES);
  free(probe);
  return probe != NULL;
}

static bool has_long_headers(const handle *h, CURLcode result, bool http2) {
  curl_off_t first_byte = 0;
  const transfer *t = h->transfer;
  /* HTTP/2 has no status lines, and so no HTTP/0.9 without one: among other streams libcurl 7.88
   * loses the beginning of headers that are longer than its buffer. */
  if (result == CURLE_UNSUPPORTED_PROTOCOL)
    return http2 && t->is_reused;
#if LIBCURL_VERSION_NUM >= 0x080600
  if (result == CURLE_TOO_LARGE)
    return !t->headers.complete;
#endif
  if (result != CURLE_OUT_OF_MEMORY || t->headers.complete)
    return false;
  curl_easy_getinfo(h->easy, CURLINFO_STARTTRANSFER_TIME_T, &first_byte);
  return first_byte > 0 && is_memory_left();
}

static CURLcode note(handle *h, CURLcode result, const char *message) {
  memcpy(h->detail, message, strlen(message) + 1);
  return result;
}

/* libcurl takes headers that end in the middle for whole, and 000 for a status. */
static CURLcode check_answer(handle *h) {
  if (!h->transfer->headers.complete)
    return note(h, CURLE_PARTIAL_FILE, "the answer ended in the middle of its headers");
  if (h->transfer->http_status < 100)
    return note(h, CURLE_WEIRD_SERVER_REPLY, "the answer's status line has no HTTP status");
  return CURLE_OK;
}

/* libcurl's word for a first header line that begins with a blank, and so continues nothing. */
static CURLcode name_failure(handle *h, CURLcode result) {
  if (result == CURLE_BAD_FUNCTION_ARGUMENT && h->transfer->http_status > 0)
    return note(h, CURLE_WEIRD_SERVER_REPLY, "the answer's headers are malformed");
  return result;
}

void handle_finish(handle *h, CURLcode result, bool http2) {
  transfer *t = h->transfer;
  long connects = 0;
  handle_note_sent(h);
  curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &t->http_status);
  curl_easy_getinfo(h->easy, CURLINFO_HTTP_VERSION, &t->http_version);
  curl_easy_getinfo(h->easy, CURLINFO_NUM_CONNECTS, &connects);
  t->is_reused = connects == 0 && t->is_sent;
  t->result = result == CURLE_OK ? check_answer(h) : name_failure(h, result);
  if (has_long_headers(h, result, http2))
    h->broken_limit = long_headers;
}

/* Its code may be that of a send or of a receive. */
bool handle_has_died(const handle *h) {
  static const char message[] = "Connection died, tried";
  return strncmp(h->detail, message, sizeof message - 1) == 0;
}

void handle_detach(handle *h) {
  stop_waiting(h);
  curl_easy_cleanup(h->easy); /* takes NULL, and so does the next */
  curl_url_cleanup(h->url);
  h->easy = NULL;
  h->url = NULL;
}

void handle_free(handle *h) {
  if (h == NULL)
    return;
  handle_detach(h);
  free(h->body);
  free(h);
}
