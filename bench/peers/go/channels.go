// SPDX-License-Identifier: MIT

package main

import (
	"sync"
	"sync/atomic"
	"time"
)

type job struct {
	fn  func(t *tally, arg uint64)
	arg uint64
}

// Workers that take jobs from a channel; closing it ends them.
type channelPool struct {
	jobs    chan job
	tallies []tally
	ended   sync.WaitGroup
}

func newChannelPool(workers int) *channelPool {
	p := &channelPool{jobs: make(chan job, bound), tallies: make([]tally, workers)}
	p.ended.Add(workers)
	for i := 0; i < workers; i++ {
		go func(t *tally) {
			defer p.ended.Done()
			for j := range p.jobs {
				j.fn(t, j.arg)
			}
		}(&p.tallies[i])
	}
	return p
}

func (p *channelPool) finish() {
	close(p.jobs)
	p.ended.Wait()
}

// Sleeps and looks until count tasks have run, which costs the workers nothing: a WaitGroup would
// be a counter that they all write. They write their own without an atomic store, so that this is a
// race by the letter; it decides no more than when the clock is stopped.
func (p *channelPool) await(count uint64) {
	for {
		ran := uint64(0)
		for i := range p.tallies {
			ran += atomic.LoadUint64(&p.tallies[i].count)
		}
		if ran >= count {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// Runs submit(first, last) on each producer, for its part of 1 to n.
func produce(producers int, n uint64, submit func(first, last uint64)) {
	if producers == 1 {
		submit(1, n)
		return
	}
	var wg sync.WaitGroup
	wg.Add(producers)
	for i := 0; i < producers; i++ {
		first := n*uint64(i)/uint64(producers) + 1
		last := n * uint64(i+1) / uint64(producers)
		go func() {
			submit(first, last)
			wg.Done()
		}()
	}
	wg.Wait()
}

func (p *channelPool) flood(producers int, fn func(t *tally, arg uint64), n uint64) {
	produce(producers, n, func(first, last uint64) {
		for i := first; i <= last; i++ {
			p.jobs <- job{fn, i}
		}
	})
	p.finish()
}

func emptyTask(t *tally, arg uint64) {
	t.add(arg)
}

func warmUp(workers, producers int) {
	p := newChannelPool(workers)
	p.flood(producers, emptyTask, warmUpTasks)
	checkTallies(p.tallies, warmUpTasks, sumTo(warmUpTasks))
}

func channelFlood(producers int, n uint64) {
	warmUp(workers, producers)
	p := newChannelPool(workers)
	resident := readStatus("VmRSS:")
	resetPeak()
	before := readUsage()
	start := now()
	p.flood(producers, emptyTask, n)
	printMetric("ns_per_task", float64(now()-start)/float64(n))
	printUsage(before, n)
	growth := float64(0)
	if peak := readStatus("VmHWM:"); peak > resident {
		growth = float64(peak - resident)
	}
	printMetric("growth_kb", growth)
	checkTallies(p.tallies, n, sumTo(n))
}

// A task that finds the channel full runs the new one inline.
func spawnInPlace(p *channelPool, t *tally, j job) {
	select {
	case p.jobs <- j:
	default:
		j.fn(t, j.arg)
	}
}

// A task waits for room as everybody does.
func spawnBlocking(p *channelPool, t *tally, j job) {
	p.jobs <- j
}

func channelTree(n uint64, spawn func(p *channelPool, t *tally, j job)) {
	warmUp(workers, 1)
	firstLeaf := uint64(1) << n
	nodes := 2*firstLeaf - 1
	p := newChannelPool(workers)
	var visit func(t *tally, node uint64)
	visit = func(t *tally, node uint64) {
		t.add(node)
		if node < firstLeaf {
			spawn(p, t, job{visit, 2 * node})
			spawn(p, t, job{visit, 2*node + 1})
		}
	}
	before := readUsage()
	start := now()
	p.jobs <- job{visit, 1}
	p.await(nodes)
	printMetric("ns_per_task", float64(now()-start)/float64(nodes))
	printUsage(before, nodes)
	p.finish()
	checkTallies(p.tallies, nodes, sumTo(nodes))
}

func channelFib(n uint64) {
	p := newChannelPool(workers)
	var fib func(n uint64) uint64
	fib = func(n uint64) uint64 {
		if n < 2 {
			return n
		}
		var forked uint64
		done := make(chan struct{}, 1)
		p.jobs <- job{func(*tally, uint64) {
			forked = fib(n - 1)
			done <- struct{}{}
		}, 0}
		own := fib(n - 2)
		<-done
		return forked + own
	}
	runFib(func(n uint64) uint64 {
		value := make(chan uint64)
		p.jobs <- job{func(*tally, uint64) { value <- fib(n) }, 0}
		return <-value
	}, n)
	p.finish()
}

func channelWork(ns float64, n uint64) {
	warmUp(workers, 1)
	steps := workSteps(ns)
	p := newChannelPool(workers)
	before := readUsage()
	start := now()
	p.flood(1, func(t *tally, arg uint64) {
		if work(arg, steps) == 0 {
			workSink = 1
		}
		t.add(arg)
	}, n)
	printMetric("efficiency", float64(n)*ns/workers/float64(now()-start))
	printUsage(before, n)
	checkTallies(p.tallies, n, sumTo(n))
}

func stampTask(stamps []int64) func(t *tally, arg uint64) {
	return func(t *tally, arg uint64) {
		stamps[arg-1] = now() - stamps[arg-1]
		t.add(arg)
	}
}

func channelPaced(n uint64) {
	stamps := makeStamps(n)
	warmUp(workers, 1)
	p := newChannelPool(workers)
	task := stampTask(stamps)
	sleepUntil(now() + int64(settle))
	before := readUsage()
	at := now()
	for i := uint64(1); i <= n; i++ {
		at += int64(period)
		sleepUntil(at)
		stamps[i-1] = now()
		p.jobs <- job{task, i}
	}
	p.finish()
	printUsage(before, n)
	checkTallies(p.tallies, n, sumTo(n))
	printDelays(stamps)
}

func channelIdle(n uint64) {
	p := newChannelPool(workers)
	var ran sync.WaitGroup
	ran.Add(warmUpTasks)
	for i := uint64(1); i <= warmUpTasks; i++ {
		p.jobs <- job{func(t *tally, arg uint64) { t.add(arg); ran.Done() }, i}
	}
	ran.Wait()
	sleepUntil(now() + int64(settle))
	before := readUsage()
	sleepUntil(now() + int64(n)*1000000)
	after := readUsage()
	seconds := float64(n) / 1000
	printMetric("cpu_us_per_s", float64(after.cpu-before.cpu)/1000/seconds)
	printMetric("switches_per_s", float64(after.switches-before.switches)/seconds)
	p.finish()
	checkTallies(p.tallies, warmUpTasks, sumTo(warmUpTasks))
}

func channelCrowd(n uint64) {
	stamps := makeStamps(n)
	warmUp(crowdWorkers, crowdProducers)
	p := newChannelPool(crowdWorkers)
	task := stampTask(stamps)
	before := readUsage()
	start := now()
	produce(crowdProducers, n, func(first, last uint64) {
		for i := first; i <= last; i++ {
			stamps[i-1] = now()
			p.jobs <- job{task, i}
		}
	})
	p.finish()
	printMetric("ns_per_task", float64(now()-start)/float64(n))
	printUsage(before, n)
	checkTallies(p.tallies, n, sumTo(n))
	printDelays(stamps)
}

func channelTrips(group int, inside bool, n uint64) {
	p := newChannelPool(workers)
	var wg sync.WaitGroup
	var current []parcel
	deliver := func(_ *tally, arg uint64) {
		current[arg].deliver()
		wg.Done()
	}
	trip := func(parcels []parcel) {
		current = parcels
		wg.Add(len(parcels))
		for i := range parcels {
			p.jobs <- job{deliver, uint64(i)}
		}
		wg.Wait()
	}
	if inside {
		over := make(chan struct{})
		p.jobs <- job{func(*tally, uint64) {
			runTrips(trip, group, n)
			close(over)
		}, 0}
		<-over
	} else {
		runTrips(trip, group, n)
	}
	p.finish()
}
