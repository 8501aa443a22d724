/* An output stream of PipeWire: its process callback, in which the engine fills the buffers, and its account.
 *
 * The stream is made and connected by phaselock/audio/pipewire.py, with PW_STREAM_FLAG_RT_PROCESS. */
#ifndef PL_PIPEWIRE_H
#define PL_PIPEWIRE_H

#include "pl_engine.h"

/* The account of a pw_stream of 32-bit stereo at this rate, whose frames `engine` makes. NULL where
 * libpipewire is missing or older than 0.3.50. Free it by pl_account_free, after the stream. */
pl_account *pl_pipewire_account(void *stream, double rate_hz, pl_engine *engine);

/* pw_stream_events.io_changed and .process; `account` is the stream's. */
void pl_pipewire_io_changed(void *account, uint32_t id, void *area, uint32_t size);
void pl_pipewire_process_rt(void *account);

#endif
