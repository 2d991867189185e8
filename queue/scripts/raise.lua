-- SPDX-License-Identifier: MIT
-- raise.lua - queues dead jobs again, or deletes them.
--
-- ARGV: 'retry' or 'drop'; either an id, or '' for all, and with that: the time until when they
-- died (0: now), how many to skip, how many to look at.
-- Returns {how many were dealt with, how many stay since their key is in use, the time}; of an id
-- that is not dead {0, 0, time}.
--
-- Invariant: a job that is queued again is as new, has its key, and is no longer dead.

local time = now()
local done, kept = 0, 0

local function raise(id)
    local job = P .. 'job:' .. id
    local body, key = unpack(redis.call('HMGET', job, 'body', 'key'))
    if not body or ARGV[1] == 'drop' then
        redis.call('ZREM', DEAD, id)
        redis.call('UNLINK', job)
    else
        if key then
            local holder = redis.call('GET', P .. 'key:' .. key)
            if holder and holder ~= '' then
                kept = kept + 1
                return
            end
            redis.call('SET', P .. 'key:' .. key, id)
        end
        redis.call('ZREM', DEAD, id)
        redis.call('HDEL', job, 'attempts', 'deaths', 'status', 'errors', 'why', 'taken')
        enqueue(id)
        wake()
    end
    done = done + 1
end

prepare()
if ARGV[2] ~= '' then
    if redis.call('ZSCORE', DEAD, ARGV[2]) then
        raise(ARGV[2])
    end
else
    local last = ARGV[3] == '0' and time or ARGV[3]
    local page = redis.call('ZRANGEBYSCORE', DEAD, '-inf', last, 'LIMIT', ARGV[4], ARGV[5])
    for _, id in ipairs(page) do
        raise(id)
    end
end
return {done, kept, time}
