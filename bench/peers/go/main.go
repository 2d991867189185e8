// SPDX-License-Identifier: MIT

// Go, in three forms: two goroutines that take jobs from a channel of capacity 1024; goroutines and
// a WaitGroup, for fork and join and for groups; an errgroup whose limit is the number of workers.
//
// Usage: PROGRAM FORM WORKLOAD N, with the workloads and the output of workloads.c.
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

const (
	bound          = 1024
	groupSize      = 8
	workers        = 2
	crowdWorkers   = 16
	crowdProducers = 8
	warmUpTasks    = 10000
	warmUpCalls    = 100
	period         = 200 * time.Microsecond
	settle         = 100 * time.Millisecond
)

type workload func(n uint64)

var forms = map[string]map[string]workload{
	"channels": {
		"flood1":         func(n uint64) { channelFlood(1, n) },
		"flood4":         func(n uint64) { channelFlood(4, n) },
		"tree":           func(n uint64) { channelTree(n, spawnInPlace) },
		"fib":            channelFib,
		"work1us":        func(n uint64) { channelWork(1000, n) },
		"work10us":       func(n uint64) { channelWork(10000, n) },
		"paced":          channelPaced,
		"idle":           channelIdle,
		"crowd":          channelCrowd,
		"trip_outside":   func(n uint64) { channelTrips(1, false, n) },
		"trip_inside":    func(n uint64) { channelTrips(1, true, n) },
		"groups_outside": func(n uint64) { channelTrips(groupSize, false, n) },
		"groups_inside":  func(n uint64) { channelTrips(groupSize, true, n) },
	},
	"channels-blocking": {
		"tree": func(n uint64) { channelTree(n, spawnBlocking) },
	},
	"goroutines": {
		"tree":           goroutineTree,
		"fib":            goroutineFib,
		"trip_outside":   func(n uint64) { goroutineTrips(1, n) },
		"groups_outside": func(n uint64) { goroutineTrips(groupSize, n) },
	},
	"errgroup": {
		"flood1":         func(n uint64) { errgroupFlood(1, n) },
		"flood4":         func(n uint64) { errgroupFlood(4, n) },
		"fib":            errgroupFib,
		"work1us":        func(n uint64) { errgroupWork(1000, n) },
		"work10us":       func(n uint64) { errgroupWork(10000, n) },
		"trip_outside":   func(n uint64) { errgroupTrips(1, n) },
		"groups_outside": func(n uint64) { errgroupTrips(groupSize, n) },
	},
}

func main() {
	var run workload
	var n uint64
	if len(os.Args) == 4 {
		form, known := forms[os.Args[1]]
		run = form[os.Args[2]]
		n, _ = strconv.ParseUint(os.Args[3], 10, 64)
		if known && run == nil {
			cannot("another form of the peer is for this")
		}
	}
	if run == nil || n == 0 {
		fmt.Fprintf(os.Stderr, "usage: %s FORM WORKLOAD N\n", os.Args[0])
		os.Exit(2)
	}
	run(n)
}
