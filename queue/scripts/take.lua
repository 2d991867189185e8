-- SPDX-License-Identifier: MIT
-- take.lua - leases jobs to a worker: first those whose lease is over, then those whose pause is
-- over, then the queued ones in order.
--
-- ARGV: worker, lease, how many jobs at most, how many bytes of bodies after which to stop,
-- retries of the worker (0: the job's), whether to look for lost entries (1 or 0).
-- Returns {state, wait, job...}: state is 'paused', 'empty' (no job is anywhere) or 'ready';
-- wait, when there may be a job again if nobody pushes one, in ms (-1: never); each job {id, token,
-- attempts so far, key, body}.
--
-- Invariant: what is returned is in leases, and pending under this worker, by a new token. So a job
-- has one owner, or none.

local worker, lease = ARGV[1], tonumber(ARGV[2])
local most, bytes = tonumber(ARGV[3]), tonumber(ARGV[4])
local time = now()
local jobs, size = {}, 0

insist()
prepare()
redis.call('ZADD', P .. 'workers', time + lease, worker)

local function room()
    return #jobs < most and size < bytes
end

-- Hands the job over. `old`: it was in the hands of the group before.
local function lend(id, entry, old)
    local job = P .. 'job:' .. id
    local fields = redis.call('HMGET', job, 'body', 'key', 'attempts')
    if not fields[1] then
        detach(id, entry)
        redis.call('UNLINK', job)
        count('vanished')
        return
    end
    if old then
        redis.call('XCLAIM', JOBS, GROUP, worker, 0, entry, 'FORCE', 'JUSTID')
    end
    redis.call('ZADD', LEASES, time + lease, id)
    redis.call('ZREM', RETRY, id)
    redis.call('HSET', job, 'worker', worker, 'taken', time)
    redis.call('HDEL', job, 'started')
    local token = redis.call('HINCRBY', job, 'token', 1)
    size = size + #fields[1]
    jobs[#jobs + 1] = {id, token, tonumber(fields[3] or 0), fields[2] or '', fields[1]}
end

-- A lease is over. It costs the job an attempt if its handler had been called, and at the death
-- number WEIR_QUEUE_DEATHS_MAX its life.
local function take_over(id)
    local job = P .. 'job:' .. id
    local entry, attempts, retries, started, cancel =
        unpack(redis.call('HMGET', job, 'entry', 'attempts', 'retries', 'started', 'cancel'))
    count('taken_over')
    if not entry then
        detach(id)
        redis.call('UNLINK', job)
        count('vanished')
        return
    end
    local most_attempts = tonumber(ARGV[5] ~= '0' and ARGV[5] or retries or 5)
    if cancel then
        finish(id)
        count('cancelled')
    elseif started and redis.call('HINCRBY', job, 'deaths', 1) >= 3 then
        bury(id, 'poison', time)
    elseif started and tonumber(attempts or 0) >= most_attempts then
        bury(id, 'worker', time)
    else
        lend(id, entry, true)
    end
end

-- Entries that are pending, but in no lease: the server evicted a key, or somebody deleted one.
local function mend()
    for _, pending in ipairs(redis.call('XPENDING', JOBS, GROUP, 'IDLE', lease, '-', '+', 100)) do
        local fields = redis.call('XRANGE', JOBS, pending[1], pending[1])[1]
        if not fields then
            redis.call('XACK', JOBS, GROUP, pending[1])
        elseif redis.call('HGET', P .. 'job:' .. fields[2][2], 'entry') ~= pending[1] then
            redis.call('XACK', JOBS, GROUP, pending[1])
            redis.call('XDEL', JOBS, pending[1])
        else
            redis.call('ZADD', LEASES, 'NX', time, fields[2][2])
        end
    end
end

if redis.call('EXISTS', P .. 'paused') == 1 then
    return {'paused', -1}
end
if ARGV[6] == '1' then
    mend()
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', LEASES, '-inf', time, 'LIMIT', 0, most)) do
    if room() then
        take_over(id)
    end
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', RETRY, '-inf', time, 'LIMIT', 0, most)) do
    if room() then
        local entry = redis.call('HGET', P .. 'job:' .. id, 'entry')
        lend(id, entry, true)
    end
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', DELAYED, '-inf', time, 'LIMIT', 0, 100)) do
    redis.call('ZREM', DELAYED, id)
    enqueue(id)
end
while room() do
    local found = redis.call('XREADGROUP', 'GROUP', GROUP, worker, 'COUNT', 1, 'STREAMS', JOBS, '>')
    if not found then
        break
    end
    local entry = found[1][2][1]
    lend(entry[2][2], entry[1], false)
end

-- Consumers of the group whose workers are gone.
local silent = time - 60000
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', P .. 'workers', '-inf', silent, 'LIMIT', 0, 4)) do
    if #redis.call('XPENDING', JOBS, GROUP, '-', '+', 1, gone) == 0 then
        redis.call('XGROUP', 'DELCONSUMER', JOBS, GROUP, gone)
        redis.call('ZREM', P .. 'workers', gone)
    end
end

-- More to do: the next worker that is free hears of it.
local left = redis.call('XLEN', JOBS)
if left > redis.call('ZCARD', LEASES) + redis.call('ZCARD', RETRY) then
    wake()
end
local wait = -1
for _, place in ipairs({LEASES, RETRY, DELAYED}) do
    local first = redis.call('ZRANGE', place, 0, 0, 'WITHSCORES')[2]
    if first and (wait < 0 or first - time < wait) then
        wait = math.max(first - time, 0)
    end
end
local empty = left == 0 and redis.call('ZCARD', DELAYED) == 0
return {empty and 'empty' or 'ready', math.ceil(wait), unpack(jobs)}
