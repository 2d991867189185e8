-- SPDX-License-Identifier: MIT
-- start.lua - notes that the handler of a job is about to be called.
--
-- ARGV: id, token, attempt. Returns 1, or 0: the job is lost.
--
-- Invariant: a job that is marked as started was at its handler; if its worker dies, that costs an
-- attempt. It may be said twice.

local job = P .. 'job:' .. ARGV[1]
if redis.call('HGET', job, 'token') ~= ARGV[2] then
    return 0
end
insist()
redis.call('HSET', job, 'started', '1', 'attempts', ARGV[3])
return 1
