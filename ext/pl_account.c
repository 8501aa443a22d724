#include "pl_account.h"

#include <stdlib.h>

#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

void *pl_account_function(const char *library, const char *name) {
    HMODULE module = LoadLibraryA(library);
    return module ? (void *)(intptr_t)GetProcAddress(module, name) : NULL;
}
#else
#include <dlfcn.h>

void *pl_account_function(const char *library, const char *name) {
    void *module = dlopen(library, RTLD_NOW); /* never closed: the stream needs it too */
    return module ? dlsym(module, name) : NULL;
}
#endif

void pl_account_end(pl_account *account) {
    if (account->end) account->end(account);
}

void pl_account_free(pl_account *account) { free(account); }
