// SPDX-License-Identifier: MIT

package main

import "sync"

// No workers and no bound: a goroutine a task, and a WaitGroup to wait for them.

func goroutineTree(n uint64) {
	firstLeaf := uint64(1) << n
	nodes := 2*firstLeaf - 1
	var wg sync.WaitGroup
	var visit func(node uint64)
	visit = func(node uint64) {
		if node < firstLeaf {
			wg.Add(2)
			go visit(2 * node)
			go visit(2*node + 1)
		}
		addShared(node)
		wg.Done()
	}
	before := readUsage()
	start := now()
	wg.Add(1)
	go visit(1)
	wg.Wait()
	printMetric("ns_per_task", float64(now()-start)/float64(nodes))
	printUsage(before, nodes)
	checkTallies(shared[:], nodes, sumTo(nodes))
}

func forkJoin(n uint64) uint64 {
	if n < 2 {
		return n
	}
	var forked uint64
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		forked = forkJoin(n - 1)
		wg.Done()
	}()
	own := forkJoin(n - 2)
	wg.Wait()
	return forked + own
}

func goroutineFib(n uint64) {
	runFib(forkJoin, n)
}

func goroutineTrips(group int, n uint64) {
	runTrips(func(parcels []parcel) {
		var wg sync.WaitGroup
		wg.Add(len(parcels))
		for i := range parcels {
			p := &parcels[i]
			go func() {
				p.deliver()
				wg.Done()
			}()
		}
		wg.Wait()
	}, group, n)
}
