// zlib, as Debian's zlib1g-dev brings it. Its initialisers are macros, which Swift does not see.
#pragma once

#include <zlib.h>

// A gzip file (RFC 1952) is to be written: 15 bits of window, and 16 for gzip's header and trailer.
static inline int swiftlet_gzip_deflate_init(z_stream *stream, int level) {
    return deflateInit2(stream, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
}

// A gzip file is to be read.
static inline int swiftlet_gzip_inflate_init(z_stream *stream) {
    return inflateInit2(stream, 15 + 16);
}
