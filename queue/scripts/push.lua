-- SPDX-License-Identifier: MIT
-- push.lua - adds jobs, in order, until the limit is reached.
--
-- ARGV: client, number of this push, limit, remember, retries, backoff first, its maximum, delay,
-- at (0: none); then the key ('': none) and the body of each message.
-- Returns one text: for each message that was dealt with '+ID' (new), '=ID' (known) or '=' (known,
-- and done), each with a comma behind it.
--
-- Invariant: a client whose connection broke sends the same number again, and is answered what it
-- was answered before: nothing is added twice. A client pushes one portion at a time, so the last
-- answer is all that must be kept.

local client, number = P .. 'push:' .. ARGV[1], ARGV[2]
local before = redis.call('HMGET', client, 'number', 'answer')
if before[1] == number then
    return before[2]
end

local limit, remember = tonumber(ARGV[3]), ARGV[4]
local settings = {'remember', remember}
for i, name in ipairs({'retries', 'first', 'most'}) do
    if ARGV[4 + i] ~= '0' then
        settings[#settings + 1] = name
        settings[#settings + 1] = ARGV[4 + i]
    end
end
local at, time = tonumber(ARGV[9]), now()
if ARGV[8] ~= '0' then
    at = time + tonumber(ARGV[8])
end

prepare()
local there = redis.call('XLEN', JOBS) + redis.call('ZCARD', DELAYED)
local waiting = there - redis.call('ZCARD', LEASES)
local answer, added, known = {}, 0, 0
for i = 10, #ARGV, 2 do
    local key, body = ARGV[i], ARGV[i + 1]
    local holder = key ~= '' and redis.call('GET', P .. 'key:' .. key)
    if holder then
        known = known + 1
        answer[#answer + 1] = '=' .. holder .. ','
    elseif waiting >= limit then
        break
    else
        local id = string.format('%.0f', redis.call('INCR', P .. 'next'))
        local job = P .. 'job:' .. id
        redis.call('HSET', job, 'body', body, unpack(settings))
        if key ~= '' then
            redis.call('HSET', job, 'key', key)
            redis.call('SET', P .. 'key:' .. key, id)
        end
        if at > time then
            redis.call('ZADD', DELAYED, at, id)
        else
            enqueue(id)
        end
        added, waiting = added + 1, waiting + 1
        answer[#answer + 1] = '+' .. id .. ','
    end
end

local text = table.concat(answer)
if #answer > 0 then
    redis.call('HSET', client, 'number', number, 'answer', text)
    redis.call('PEXPIRE', client, 3600000)
end
if added > 0 then
    count('added', added)
    wake()
end
if known > 0 then
    count('known', known)
end
return text
