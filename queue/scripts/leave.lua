-- SPDX-License-Identifier: MIT
-- leave.lua - a worker that has settled all its jobs goes.
--
-- ARGV: worker. Returns 1, or 0: jobs are pending in its name, so it is forgotten only after they
-- were taken over.
--
-- Invariant: a consumer with pending entries is never deleted, since its entries would go with it.

if redis.call('EXISTS', JOBS) == 1 then
    if #redis.call('XPENDING', JOBS, GROUP, '-', '+', 1, ARGV[1]) > 0 then
        return 0
    end
    redis.call('XGROUP', 'DELCONSUMER', JOBS, GROUP, ARGV[1])
    -- Word of jobs that it heard, and did not come to heed.
    if redis.call('XLEN', JOBS) > redis.call('ZCARD', LEASES) then
        wake()
    end
end
redis.call('ZREM', P .. 'workers', ARGV[1])
return 1
