/* handle.c: options as a table; the callbacks touch C memory alone and call no Lua. */
#include "handle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* libcurl 7.88 does not ask for the rest of HTTP/2 headers that are longer than its buffer, so
 * there has to be room for more than we accept. */
#define MAX_HEADER_BYTES ((size_t)32 * 1024)
#define READ_BUFFER_BYTES (40L * 1024)

static const char long_headers[] = "the answer's headers are longer than 32 KiB";

/* -- what libcurl reports
 * ------------------------------------------------------------------------ */

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
  if (length > h->options->max_response_bytes - h->body_length) {
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

static size_t on_header(char *bytes, size_t size, size_t count, void *userp) {
  handle *h = userp;
  size_t length = size * count;
  headers_read_line(&h->transfer->headers, bytes, length);
  if (h->transfer->headers.bytes <= MAX_HEADER_BYTES)
    return length;
  h->broken_limit = long_headers;
  return 0;
}

/* -- options
 * ------------------------------------------------------------------------------------- */

static const struct {
  CURLoption option;
  long value;
} constant_options[] = {
    {CURLOPT_NOSIGNAL, 1},
    {CURLOPT_FOLLOWLOCATION, 0}, /* a redirect must not carry the key to another host */
    {CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2TLS},
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
  return curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "") ==
         CURLE_OK; /* all that libcurl knows */
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

static bool set_engine_options(CURL *easy, const transfer_options *options, bool is_https) {
  return curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, options->connect_timeout_ms) ==
             CURLE_OK &&
         (!is_https || set_ca(easy, options->ca_file)) &&
         curl_easy_setopt(easy, CURLOPT_PROXY, proxy_for(options, is_https)) == CURLE_OK &&
         (!options->is_without_proxy || curl_easy_setopt(easy, CURLOPT_NOPROXY, "*") == CURLE_OK) &&
         curl_easy_setopt(easy, CURLOPT_USERAGENT, options->user_agent) == CURLE_OK;
}

static bool set_callbacks(handle *h) {
  CURL *easy = h->easy;
  return curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, h->detail) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_PRIVATE, h) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_WRITEDATA, h) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_HEADERDATA, h) == CURLE_OK;
}

static long timeout_ms(double seconds) {
  if (isinf(seconds))
    return 0; /* libcurl's "none" */
  double ms = ceil(seconds * 1e3);
  return ms >= 2147483647.0 ? 2147483647L : ms < 1 ? 1 : (long)ms;
}

static bool set_request(CURL *easy, const transfer *t, double timeout) {
  /* On plain http PIPEWAIT would hold every transfer until the first answer. */
  return (!t->is_https || curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L) == CURLE_OK) &&
         curl_easy_setopt(easy, CURLOPT_URL, t->url) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_HTTPHEADER, t->header_lines) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms(timeout)) == CURLE_OK;
}

/* -- its life
 * ------------------------------------------------------------------------------------ */

handle *handle_new(transfer_options *options, poller *p, CURLSH *share, transfer *t,
                   double timeout) {
  handle *h = calloc(1, sizeof *h);
  if (h == NULL)
    return NULL;
  h->options = options;
  h->transfer = t;
  t->header_lines[0].next = &t->header_lines[1];
  t->header_lines[1].next = options->header_lines;
  h->easy = curl_easy_init();
  if (h->easy != NULL && curl_easy_setopt(h->easy, CURLOPT_SHARE, share) == CURLE_OK &&
      set_constant_options(h->easy) && set_engine_options(h->easy, options, t->is_https) &&
      set_callbacks(h) && set_request(h->easy, t, timeout) && poller_attach_easy(p, h->easy))
    return h;
  handle_free(h);
  return NULL;
}

void handle_finish(handle *h, CURLcode result, bool http2) {
  static const char cut[] =
      "the answer ended in the middle of its headers"; /* libcurl takes it for whole */
  if (result == CURLE_OK && !h->transfer->headers.complete) {
    result = CURLE_PARTIAL_FILE;
    memcpy(h->detail, cut, sizeof cut);
  }
  /* HTTP/2 has no status lines, and so no HTTP/0.9 without one: among other streams libcurl 7.88
   * loses the beginning of headers that are longer than its buffer. */
  if (result == CURLE_UNSUPPORTED_PROTOCOL && http2)
    h->broken_limit = long_headers;
  h->transfer->result = result;
  curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &h->transfer->http_status);
}

void handle_detach(handle *h) {
  curl_easy_cleanup(h->easy); /* takes NULL */
  h->easy = NULL;
}

void handle_free(handle *h) {
  if (h == NULL)
    return;
  handle_detach(h);
  free(h->body);
  free(h);
}
