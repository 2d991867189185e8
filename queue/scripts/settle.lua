-- SPDX-License-Identifier: MIT
-- settle.lua - what became of jobs that a worker had.
--
-- ARGV: retries, backoff first and its maximum of the worker (0: the job's); then for each job id,
-- token, what, attempt, status, errors, and how much of the pause to take, in thousandths. what is
-- 'done', 'retry' or 'bury' (its attempt failed), or 'back' (it is as if it had not been taken).
-- Returns for each job 1, or 0: it was lost before, and nothing is changed.
--
-- Invariant: only the owner settles, once: the token is gone, or another, afterwards.

local time = now()
local answer = {}

local function or_else(mine, of_job, default)
    return tonumber(mine ~= '0' and mine or of_job or default)
end

-- The pause after attempt n is 2^(n-1) times the first one.
local function fail(id, what, attempt, share)
    local job = P .. 'job:' .. id
    local entry, retries, first, most, cancel =
        unpack(redis.call('HMGET', job, 'entry', 'retries', 'first', 'most', 'cancel'))
    count('failed')
    if cancel then
        put_back(id, entry, time) -- which deletes it
    elseif what == 'bury' or attempt >= or_else(ARGV[1], retries, 5) then
        bury(id, 'failed', time)
    else
        local pause = or_else(ARGV[2], first, 1000) * 2 ^ math.min(attempt - 1, 40)
        pause = math.min(pause, or_else(ARGV[3], most, 600000)) * share / 1000
        put_back(id, entry, time + math.ceil(pause))
    end
end

insist()
for i = 4, #ARGV, 7 do
    local id, token, what, attempt = ARGV[i], ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3])
    local job = P .. 'job:' .. id
    local mine, remember, entry = unpack(redis.call('HMGET', job, 'token', 'remember', 'entry'))
    if mine ~= token then
        answer[#answer + 1] = 0
    else
        answer[#answer + 1] = 1
        if what == 'done' then
            finish(id, remember)
            count('done')
        elseif what == 'back' then
            redis.call('HSET', job, 'attempts', attempt)
            put_back(id, entry, time)
            wake()
        else
            redis.call('HSET', job, 'status', ARGV[i + 4], 'errors', ARGV[i + 5])
            redis.call('HSET', job, 'attempts', attempt)
            fail(id, what, attempt, tonumber(ARGV[i + 6]))
        end
    end
end
return answer
