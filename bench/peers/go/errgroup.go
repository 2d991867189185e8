// SPDX-License-Identifier: MIT

package main

import "golang.org/x/sync/errgroup"

// An errgroup has no workers: it starts a goroutine for each task, and its limit says how many may
// run at once. Where tasks wait for tasks there is a group for each wait, without a limit.

func limited() *errgroup.Group {
	g := new(errgroup.Group)
	g.SetLimit(workers)
	return g
}

func errgroupSubmit(g *errgroup.Group, producers int, n uint64, task func(arg uint64)) {
	produce(producers, n, func(first, last uint64) {
		for i := first; i <= last; i++ {
			i := i
			g.Go(func() error {
				task(i)
				return nil
			})
		}
	})
	check(g.Wait() == nil, "a task failed")
}

func errgroupFlood(producers int, n uint64) {
	errgroupSubmit(limited(), producers, warmUpTasks, addShared)
	checkTallies(shared[:], warmUpTasks, sumTo(warmUpTasks))
	shared = [64]tally{}
	resident := readStatus("VmRSS:")
	resetPeak()
	before := readUsage()
	start := now()
	errgroupSubmit(limited(), producers, n, addShared)
	printMetric("ns_per_task", float64(now()-start)/float64(n))
	printUsage(before, n)
	growth := float64(0)
	if peak := readStatus("VmHWM:"); peak > resident {
		growth = float64(peak - resident)
	}
	printMetric("growth_kb", growth)
	checkTallies(shared[:], n, sumTo(n))
}

func errgroupWork(ns float64, n uint64) {
	steps := workSteps(ns)
	before := readUsage()
	start := now()
	errgroupSubmit(limited(), 1, n, func(arg uint64) {
		if work(arg, steps) == 0 {
			workSink = 1
		}
		addShared(arg)
	})
	printMetric("efficiency", float64(n)*ns/workers/float64(now()-start))
	printUsage(before, n)
	checkTallies(shared[:], n, sumTo(n))
}

func errgroupForkJoin(n uint64) (uint64, error) {
	if n < 2 {
		return n, nil
	}
	var forked uint64
	var g errgroup.Group
	g.Go(func() (err error) {
		forked, err = errgroupForkJoin(n - 1)
		return err
	})
	own, err := errgroupForkJoin(n - 2)
	if failed := g.Wait(); failed != nil {
		err = failed
	}
	return forked + own, err
}

func errgroupFib(n uint64) {
	runFib(func(n uint64) uint64 {
		value, err := errgroupForkJoin(n)
		check(err == nil, "a task failed")
		return value
	}, n)
}

func errgroupTrips(group int, n uint64) {
	runTrips(func(parcels []parcel) {
		var g errgroup.Group
		for i := range parcels {
			p := &parcels[i]
			g.Go(func() error {
				p.deliver()
				return nil
			})
		}
		check(g.Wait() == nil, "a task failed")
	}, group, n)
}
