// SPDX-License-Identifier: Apache-2.0
#ifndef MARTLET_CCURL_SHIM_H
#define MARTLET_CCURL_SHIM_H
#include <curl/curl.h>

// curl_easy_setopt and curl_easy_getinfo are variadic, which does not import.
static inline CURLcode martlet_curl_set_long(CURL *handle, CURLoption option, long value) {
    return curl_easy_setopt(handle, option, value);
}
static inline CURLcode martlet_curl_set_text(CURL *handle, CURLoption option, const char *value) {
    return curl_easy_setopt(handle, option, value);
}
static inline CURLcode martlet_curl_set_list(CURL *handle, CURLoption option, struct curl_slist *value) {
    return curl_easy_setopt(handle, option, value);
}
static inline CURLcode martlet_curl_set_pointer(CURL *handle, CURLoption option, void *value) {
    return curl_easy_setopt(handle, option, value);
}
typedef size_t (*martlet_curl_bytes)(char *buffer, size_t size, size_t count, void *context);
static inline CURLcode martlet_curl_set_bytes(CURL *handle, CURLoption option, martlet_curl_bytes callback) {
    return curl_easy_setopt(handle, option, callback);
}
typedef int (*martlet_curl_progress)(void *context, curl_off_t dltotal, curl_off_t dlnow, curl_off_t ultotal, curl_off_t ulnow);
static inline CURLcode martlet_curl_set_progress(CURL *handle, martlet_curl_progress callback) {
    return curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, callback);
}
static inline long martlet_curl_response_code(CURL *handle) {
    long code = 0;
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &code);
    return code;
}
// CURL_GLOBAL_DEFAULT is a cast-like macro.
static inline CURLcode martlet_curl_global_init(void) { return curl_global_init(CURL_GLOBAL_DEFAULT); }
#endif
