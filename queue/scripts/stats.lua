-- SPDX-License-Identifier: MIT
-- stats.lua - counts what is in the queue, in the order of weir_queue_stats. Changes nothing.

local time = now()
local running, waiting = redis.call('ZCARD', LEASES), redis.call('ZCARD', RETRY)
local due = redis.call('ZCOUNT', RETRY, '-inf', time)
local queued, oldest = 0, -1
if redis.call('EXISTS', JOBS) == 1 then
    queued = math.max(redis.call('XLEN', JOBS) - running - waiting, 0)
    for _, group in ipairs(redis.call('XINFO', 'GROUPS', JOBS)) do
        local facts = {}
        for i = 1, #group, 2 do
            facts[group[i]] = group[i + 1]
        end
        if facts['name'] == GROUP then
            local last = '(' .. facts['last-delivered-id']
            local next = redis.call('XRANGE', JOBS, last, '+', 'COUNT', 1)[1]
            if next then
                oldest = time - tonumber(string.match(next[1], '^%d+'))
            end
        end
    end
end
local first = redis.call('ZRANGEBYSCORE', RETRY, '-inf', time, 'WITHSCORES', 'LIMIT', 0, 1)[2]
if first then
    oldest = math.max(oldest, time - first)
end

local answer = {
    queued + due,
    redis.call('ZCARD', DELAYED) + waiting - due,
    running,
    redis.call('ZCARD', DEAD),
    redis.call('ZCOUNT', P .. 'workers', time, '+inf'),
    oldest,
    redis.call('EXISTS', P .. 'paused'),
}
local names = {
    'added', 'known', 'done', 'failed', 'taken_over', 'buried', 'fell_off', 'cancelled', 'vanished',
}
for _, n in ipairs(redis.call('HMGET', P .. 'counts', unpack(names))) do
    answer[#answer + 1] = tonumber(n or 0)
end
return answer
