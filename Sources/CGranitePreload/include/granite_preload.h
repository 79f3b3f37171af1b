// The preloaded library has no interface but its constructor.

#ifndef GRANITE_PRELOAD_H
#define GRANITE_PRELOAD_H
#endif
