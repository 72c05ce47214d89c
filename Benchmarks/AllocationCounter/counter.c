#include "CReliabilityAllocationCounter.h"
