import Logging
import Netlink

extension ServiceProxy {
    /// Takes all Services out of the kernel's table in one transaction, of a proxy that does not run any more: new
    /// connections go nowhere, those that are established go on.
    public static func withdraw(_ configuration: ProxyConfiguration, logger: Logger) throws(NetlinkError) {
        var plane = try DataPlane(configuration, logger: logger)
        try plane.establish()
        _ = try plane.commit()
    }
}
