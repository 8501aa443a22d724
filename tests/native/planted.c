/* One fault of each kind that the sanitizers of test_sanitizers.py must find. */
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>

static volatile int word;

void heap_buffer_overflow(void) {
    volatile char *block = malloc(8);
    word = block[word + 8];
    free((char *)block);
}

void signed_integer_overflow(void) {
    word = INT_MAX;
    word = word + 1;
}

static void *count(void *nothing) {
    for (int i = 0; i < 1000000; i++) word = word + 1;
    return nothing;
}

void data_race(void) {
    pthread_t other;
    pthread_create(&other, NULL, count, NULL);
    count(NULL);
    pthread_join(other, NULL);
}
