// SPDX-License-Identifier: Apache-2.0
// Checks passwords against the system's hashes. crypt_r(3) works on 32 KiB of its own, which are cleared here.
#ifndef MARTLET_CCRYPT_SHIM_H
#define MARTLET_CCRYPT_SHIM_H
#include <crypt.h>
#include <stdlib.h>
#include <string.h>

// Whether `password`, which ends with a zero byte, belongs to `encoded`; takes the same time wherever they differ.
static inline int martlet_crypt_matches(const char *password, const char *encoded) {
    struct crypt_data *data = (struct crypt_data *)calloc(1, sizeof(struct crypt_data));
    if (data == NULL) return 0;
    const char *made = crypt_r(password, encoded, data);
    unsigned char difference = 1;
    const size_t length = strlen(encoded);
    if (made != NULL && made[0] != '*' && strlen(made) == length) {
        difference = 0;
        for (size_t place = 0; place < length; place++)
            difference |= (unsigned char)(made[place] ^ encoded[place]);
    }
    explicit_bzero(data, sizeof(struct crypt_data));
    free(data);
    return difference == 0;
}
#endif
