#pragma once
#include "namespaces.h"
#include "netlink.h"
#include "process.h"
