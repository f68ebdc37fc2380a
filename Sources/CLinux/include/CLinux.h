#pragma once
#include "namespaces.h"
#include "netlink.h"
