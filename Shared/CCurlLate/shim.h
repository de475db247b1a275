// SPDX-License-Identifier: Apache-2.0
// libcurl for who needs it seldom: opened when it is needed (dlopen(3)) instead of linked, since a process that links it
// pays a megabyte of memory for it. dlopen's result has to be cast to functions, some of them variadic, which does not
// import; so the table is made here.
#ifndef MARTLET_CCURLLATE_SHIM_H
#define MARTLET_CCURLLATE_SHIM_H
#include <curl/curl.h>
#include <dlfcn.h>
#include <stddef.h>

typedef struct martlet_curl_library {
    CURLcode (*global_init)(long flags);
    CURL *(*handle_init)(void);
    void (*handle_cleanup)(CURL *handle);
    void (*handle_reset)(CURL *handle);
    CURLcode (*handle_set)(CURL *handle, CURLoption option, ...);
    CURLcode (*handle_get)(CURL *handle, CURLINFO info, ...);
    CURLcode (*handle_perform)(CURL *handle);
    const char *(*words)(CURLcode code);
    struct curl_slist *(*list_append)(struct curl_slist *list, const char *text);
    void (*list_free)(struct curl_slist *list);
} martlet_curl_library;

// Returns 0, or -1 when the library or one of its functions is not there. The library stays open.
static inline int martlet_curl_load(martlet_curl_library *library) {
    void *file = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (file == NULL) return -1;
    // The way of POSIX (dlsym, rationale) to turn an object pointer into one to a function.
#define MARTLET_CURL_FIND(member, name) \
    *(void **)(&library->member) = dlsym(file, name); \
    if (library->member == NULL) return -1
    MARTLET_CURL_FIND(global_init, "curl_global_init");
    MARTLET_CURL_FIND(handle_init, "curl_easy_init");
    MARTLET_CURL_FIND(handle_cleanup, "curl_easy_cleanup");
    MARTLET_CURL_FIND(handle_reset, "curl_easy_reset");
    MARTLET_CURL_FIND(handle_set, "curl_easy_setopt");
    MARTLET_CURL_FIND(handle_get, "curl_easy_getinfo");
    MARTLET_CURL_FIND(handle_perform, "curl_easy_perform");
    MARTLET_CURL_FIND(words, "curl_easy_strerror");
    MARTLET_CURL_FIND(list_append, "curl_slist_append");
    MARTLET_CURL_FIND(list_free, "curl_slist_free_all");
#undef MARTLET_CURL_FIND
    return library->global_init(CURL_GLOBAL_ALL) == CURLE_OK ? 0 : -1;
}

static inline CURL *martlet_late_init(const martlet_curl_library *library) { return library->handle_init(); }
static inline void martlet_late_cleanup(const martlet_curl_library *library, CURL *handle) {
    library->handle_cleanup(handle);
}
static inline void martlet_late_reset(const martlet_curl_library *library, CURL *handle) {
    library->handle_reset(handle);
}
static inline void martlet_late_set_long(
    const martlet_curl_library *library, CURL *handle, CURLoption option, long value) {
    library->handle_set(handle, option, value);
}
static inline void martlet_late_set_text(
    const martlet_curl_library *library, CURL *handle, CURLoption option, const char *value) {
    library->handle_set(handle, option, value);
}
static inline void martlet_late_set_pointer(
    const martlet_curl_library *library, CURL *handle, CURLoption option, const void *value) {
    library->handle_set(handle, option, value);
}
typedef size_t (*martlet_late_bytes)(char *buffer, size_t size, size_t count, void *context);
static inline void martlet_late_set_writer(
    const martlet_curl_library *library, CURL *handle, martlet_late_bytes callback) {
    library->handle_set(handle, CURLOPT_WRITEFUNCTION, callback);
}
typedef int (*martlet_late_progress)(
    void *context, curl_off_t dltotal, curl_off_t dlnow, curl_off_t ultotal, curl_off_t ulnow);
static inline void martlet_late_set_progress(
    const martlet_curl_library *library, CURL *handle, martlet_late_progress callback) {
    library->handle_set(handle, CURLOPT_XFERINFOFUNCTION, callback);
}
static inline CURLcode martlet_late_perform(const martlet_curl_library *library, CURL *handle) {
    return library->handle_perform(handle);
}
static inline long martlet_late_response_code(const martlet_curl_library *library, CURL *handle) {
    long code = 0;
    library->handle_get(handle, CURLINFO_RESPONSE_CODE, &code);
    return code;
}
// Seconds of the answer's Retry-After, also where it is a date; 0 without one.
static inline long martlet_late_retry_after(const martlet_curl_library *library, CURL *handle) {
    curl_off_t seconds = 0;
    library->handle_get(handle, CURLINFO_RETRY_AFTER, &seconds);
    return (long)seconds;
}
static inline const char *martlet_late_words(const martlet_curl_library *library, CURLcode code) {
    return library->words(code);
}
static inline struct curl_slist *martlet_late_append(
    const martlet_curl_library *library, struct curl_slist *list, const char *text) {
    return library->list_append(list, text);
}
static inline void martlet_late_free(const martlet_curl_library *library, struct curl_slist *list) {
    library->list_free(list);
}
#endif
