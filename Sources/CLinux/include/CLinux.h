#pragma once
#include "dns-sockets.h"
#include "files.h"
#include "namespaces.h"
#include "netlink.h"
#include "process.h"
