-- SPDX-License-Identifier: MIT
-- common.lua - what all scripts share; it is put before each of them.
--
-- KEYS[1] is the prefix of all keys, weir:{QUEUE}: with the braces, so that they are in one slot.
-- Times are milliseconds by this server's clock, but for what a script says is a duration.
--
-- A job that is not dead is in exactly one of these places (its body and all else in job:ID):
--   queued   in the stream jobs, not yet delivered to the group
--   running  in the stream and pending there, and in leases by the time when its lease ends
--   waiting  in the stream, acknowledged, and in retry by the time from which on it may be taken
--   delayed  in delayed by the time when it is queued; not in the stream
-- Its token grows whenever it changes hands: a worker that comes with an older one has lost it.

local P = KEYS[1]
local JOBS, LEASES, RETRY = P .. 'jobs', P .. 'leases', P .. 'retry'
local DELAYED, DEAD, WAKE = P .. 'delayed', P .. 'dead', P .. 'wake'
local GROUP = 'workers'

local function now()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- A server whose memory is full refuses a write that may need more, but only if it is the first of
-- its script. What brings jobs to an end must go on there: so it begins with this one.
local function insist()
    redis.call('ZREM', LEASES, '')
end

local function count(what, n)
    redis.call('HINCRBY', P .. 'counts', what, n or 1)
end

-- Wakes one worker that has nothing to do, if there is one: the token is there until one takes it.
local function wake()
    if redis.call('LLEN', WAKE) == 0 then
        redis.call('LPUSH', WAKE, '1')
    end
end

-- The group is made with the stream, so that no entry is older than the group.
local function prepare()
    if redis.call('EXISTS', JOBS) == 0 then
        redis.call('XGROUP', 'CREATE', JOBS, GROUP, '0', 'MKSTREAM')
    end
end

-- Puts a job at the end of the stream.
local function enqueue(id)
    local entry = redis.call('XADD', JOBS, '*', 'id', id)
    redis.call('HSET', P .. 'job:' .. id, 'entry', entry)
end

-- Takes a job out of all places but the dead list.
local function detach(id, entry)
    if entry then
        redis.call('XACK', JOBS, GROUP, entry)
        redis.call('XDEL', JOBS, entry)
    end
    redis.call('ZREM', LEASES, id)
    redis.call('ZREM', RETRY, id)
    redis.call('ZREM', DELAYED, id)
end

-- Others may now use the key of the job.
local function free_key(id, key)
    if key and redis.call('GET', P .. 'key:' .. key) == id then
        redis.call('DEL', P .. 'key:' .. key)
    end
end

-- Deletes a job that is over. Its key stays known for `remember`, if that is given and not 0.
local function finish(id, remember)
    local job = P .. 'job:' .. id
    local entry, key = unpack(redis.call('HMGET', job, 'entry', 'key'))
    detach(id, entry)
    if key and remember and tonumber(remember) > 0 then
        redis.call('SET', P .. 'key:' .. key, '', 'PX', remember)
    else
        free_key(id, key)
    end
    redis.call('UNLINK', job)
end

-- To the dead list, from which the oldest falls off beyond WEIR_QUEUE_DEAD_MAX.
local function bury(id, why, at)
    local job = P .. 'job:' .. id
    local entry, key = unpack(redis.call('HMGET', job, 'entry', 'key'))
    detach(id, entry)
    free_key(id, key)
    redis.call('HDEL', job, 'entry', 'worker', 'started', 'cancel')
    redis.call('HSET', job, 'why', why)
    redis.call('ZADD', DEAD, at, id)
    count('buried')
    if redis.call('ZCARD', DEAD) > 10000 then
        redis.call('UNLINK', P .. 'job:' .. redis.call('ZPOPMIN', DEAD)[1])
        count('fell_off')
    end
end

-- Takes a job from its worker, to be taken again from the time `at` on. One that was cancelled
-- ends.
-- It keeps its place in the stream, before all that is queued.
local function put_back(id, entry, at)
    local job = P .. 'job:' .. id
    if redis.call('HEXISTS', job, 'cancel') == 1 then
        finish(id)
        count('cancelled')
        return
    end
    redis.call('XACK', JOBS, GROUP, entry)
    redis.call('ZREM', LEASES, id)
    redis.call('ZADD', RETRY, at, id)
    redis.call('HDEL', job, 'worker', 'started')
    redis.call('HINCRBY', job, 'token', 1)
end
